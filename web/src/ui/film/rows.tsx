/** An upload and a render as rows: what it is, how far it is, and what can be done about it. */
import type { ComponentChildren } from "preact";
import { isOver, type Job, shareOf } from "../../client/films";
import { Icon } from "../icons";
import { filmStrings as words } from "../strings.film";
import { cancelJob, forgetJob, retryJob } from "./renders";
import { films, shown, type UploadShown } from "./state";
import { giveUp, pauseUpload, resumeUpload, retryUpload } from "./upload";

type IconName = Parameters<typeof Icon>[0]["name"];

export function RowButton({
  icon,
  label,
  id,
  run,
}: {
  icon: IconName;
  label: string;
  id: string;
  run: () => void;
}) {
  return (
    <button type="button" class="tool" data-testid={id} aria-label={label} title={label} onClick={run}>
      <Icon name={icon} />
    </button>
  );
}

function Row({
  id,
  state,
  name,
  said,
  share,
  label,
  children,
}: {
  id: string;
  state: string;
  name: string;
  said: string;
  share: number | null;
  label: string;
  children: ComponentChildren;
}) {
  return (
    <div class="work" data-testid={id} data-state={state}>
      <p class="work-name" title={name}>
        {name}
      </p>
      <p class="work-said" title={said}>
        {said}
      </p>
      {share !== null && <progress aria-label={label} max={1} value={share} />}
      <span class="work-tools">{children}</span>
    </div>
  );
}

function saidOf(upload: UploadShown, share: number): string {
  const said = words.upload;
  switch (upload.state) {
    case "preparing":
      return said.preparing;
    case "paused":
      return said.paused(share);
    case "waiting":
      return said.waiting(share);
    case "checking":
      return said.checking;
    case "refused":
      return upload.problem;
    default:
      return said.running(share, upload.bps, upload.leftS);
  }
}

export function UploadRow() {
  const upload = shown.upload.value;
  if (!upload) return null;
  const share = upload.bytes > 0 ? upload.sent / upload.bytes : 0;
  const { state } = upload;
  const said = words.upload;
  return (
    <Row
      id="upload"
      state={state}
      name={upload.name}
      said={saidOf(upload, share)}
      share={state === "refused" ? null : share}
      label={said.label}
    >
      {state === "running" && (
        <RowButton id="upload-pause" icon="pause" label={said.pause} run={pauseUpload} />
      )}
      {(state === "paused" || state === "waiting") && (
        <RowButton id="upload-resume" icon="play" label={said.resume} run={resumeUpload} />
      )}
      {state === "refused" && upload.bytes > 0 && (
        <RowButton id="upload-again" icon="again" label={said.again} run={retryUpload} />
      )}
      {state !== "checking" && (
        <RowButton
          id="upload-cancel"
          icon="close"
          label={state === "refused" ? said.dismiss : said.giveUp}
          run={() => void giveUp()}
        />
      )}
    </Row>
  );
}

function saidOfJob(job: Job): string {
  const said = words.render;
  switch (job.status) {
    case "QUEUED":
      return job.reason || said.queued;
    case "DONE":
      return said.done(job.bytes);
    case "FAILED":
      return said.failed(job.reason);
    case "CANCELLED":
      return said.cancelled;
    default: {
      const stage = job.reason || said.stages[job.stage] || "";
      const pace = said.running(shareOf(job), job.stage === "rendering" ? job.fps : 0, job.etaS);
      return [stage === said.stages.rendering && pace ? "" : stage, pace].filter(Boolean).join(" · ");
    }
  }
}

export function JobRow({ job }: { job: Job }) {
  const details = shown.details.value[job.id];
  const said = words.render;
  const first = details?.edits.find(({ prompt }) => prompt)?.prompt ?? said.source;
  const over = isOver(job);
  const watched = shown.watched.value === job.id;
  const playable = job.status === "DONE" || (details?.done.length ?? 0) > 0;
  return (
    <Row
      id="job"
      state={job.status}
      name={details ? said.edits(details.edits.length, first) : job.model}
      said={saidOfJob(job)}
      share={over ? null : (shareOf(job) ?? 0)}
      label={said.progress}
    >
      {playable && (
        <RowButton
          id="job-watch"
          icon={watched ? "stop" : "play"}
          label={watched ? said.back : said.watch}
          run={() => {
            shown.watched.value = watched ? null : job.id;
          }}
        />
      )}
      {job.status === "DONE" && (
        <a
          class="tool"
          data-testid="job-download"
          href={films.resultUrl(job.id)}
          download
          aria-label={said.download}
          title={said.download}
        >
          <Icon name="download" />
        </a>
      )}
      {(job.status === "FAILED" || job.status === "CANCELLED") && (
        <RowButton id="job-retry" icon="again" label={said.retry} run={() => void retryJob(job.id)} />
      )}
      {over ? (
        <RowButton id="job-forget" icon="bin" label={said.forget} run={() => void forgetJob(job.id)} />
      ) : (
        <RowButton id="job-cancel" icon="close" label={said.cancel} run={() => void cancelJob(job.id)} />
      )}
    </Row>
  );
}
