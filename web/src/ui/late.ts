/** What the first paint goes without, in one piece. */
export { followAddress } from "./address";
export { CameraChoices } from "./camerachoices";
export { openCamera, openScreen } from "./capture";
export { KeySheet } from "./keysheet";
export { Matches } from "./matches";
export { NoticeBar } from "./noticebar";
export { refusalNotice, sourceNotice } from "./notices";
export { PartChips, ReadingLine, spoken } from "./reading";
export { toggleRecording } from "./recording";
export { RegionSwitch } from "./region";
export { saveSnapshot, saveTimeline } from "./saving";
export { suggest } from "./suggest";
export { keepTab, recallTab } from "./tab";
