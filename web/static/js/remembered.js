// What this tab remembers of the jobs that were started in it: their settings, with the prompt, which no server keeps.
// It is in sessionStorage, which ends with the tab.

const PLACE = "yout-studio";
const MAX_JOBS = 60;

/** @typedef {{kind: string, model: string, fields: Record<string, string | boolean>, body?: Record<string, unknown>}} Settings */
/** @typedef {{jobs: Record<string, Settings>, pending?: Settings, fill?: Settings}} Memory */

/** @returns {Memory} */
function recall() {
  try {
    const memory = JSON.parse(sessionStorage.getItem(PLACE) ?? "{}");
    return {...memory, jobs: memory.jobs ?? {}};
  } catch {
    return {jobs: {}};
  }
}

/** @param {Memory} memory */
function store(memory) {
  const newest = Object.fromEntries(Object.entries(memory.jobs).slice(-MAX_JOBS));
  try {
    sessionStorage.setItem(PLACE, JSON.stringify({...memory, jobs: newest}));
  } catch { /* It is full, or switched off: then nothing is remembered. */ }
}

/** The settings of a job that is about to be started. Its id is known on the next page. @param {Settings} settings */
export function starting(settings) {
  store({...recall(), pending: settings});
}

/** The page after a start: its address has the job. Without one, nothing was started. Its form begins with the same
 * settings and no text, so that another press starts nothing. @param {string | null} job */
export function started(job) {
  const {pending, ...memory} = recall();
  if (!pending) return;
  if (job && !(job in memory.jobs)) {
    const {prompt, input, ...fields} = pending.fields;
    memory.jobs[job] = pending;
    memory.fill = {...pending, fields};
  }
  store(memory);
}

/** @param {string} job @returns {Settings | undefined} */
export function settingsOf(job) {
  return recall().jobs[job];
}

/** What the form of the next page begins with. @param {Settings} settings */
export function fillNext(settings) {
  store({...recall(), fill: settings});
}

/** @param {string} kind @returns {Settings | undefined} */
export function takeFill(kind) {
  const {fill, ...memory} = recall();
  if (fill) store(memory);
  return fill?.kind === kind ? fill : undefined;
}

/** The text of a job. @param {Settings} settings */
export function textOf(settings) {
  return String(settings.fields.prompt ?? settings.fields.input ?? "");
}
