import assert from "node:assert/strict";
import { test } from "node:test";
import { orderCodecs } from "../src/client/codecs";

test("fragmented baseline H.264 first, VP8 next, repair last, nothing lost", () => {
  const codecs = [
    { mimeType: "video/rtx" },
    { mimeType: "video/VP9" },
    { mimeType: "video/VP8" },
    { mimeType: "video/H264", sdpFmtpLine: "packetization-mode=0;profile-level-id=42e01f" },
    { mimeType: "video/H264", sdpFmtpLine: "packetization-mode=1;profile-level-id=640032" },
    {
      mimeType: "video/H264",
      sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    },
  ];
  const ordered = orderCodecs(codecs);
  assert.deepEqual(ordered, [codecs[5], codecs[4], codecs[2], codecs[3], codecs[1], codecs[0]]);
});
