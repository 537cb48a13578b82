/** What the first paint goes without, in one piece. */
export { followAddress } from "./address";
export { CameraChoices } from "./camerachoices";
export { openCamera, openScreen } from "./capture";
export { Facts, VerdictPill } from "./facts";
export { listenToKeys } from "./keys";
export { KeySheet } from "./keysheet";
export { Matches } from "./matches";
export { NoticeBar } from "./noticebar";
export { refusalNotice, sourceNotice } from "./notices";
export { Presets } from "./presets";
export { PartChips, ReadingLine, spoken } from "./reading";
export { toggleRecording } from "./recording";
export { RegionSwitch } from "./region";
export { saveSnapshot, saveTimeline } from "./saving";
export { Strip } from "./strip";
export { suggest } from "./suggest";
export { keepTab, recallTab } from "./tab";
