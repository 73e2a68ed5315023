/**
 * An attempt as its directory tells it: names, records, and what is asked of a runner. The files are the truth.
 */
import { join } from 'node:path'
import { isNumber, isObject, isString, type JsonObject, type JsonRecord, readObject } from './json.ts'

/** How an attempt can end. */
export const OUTCOMES = [
  'succeeded',
  'exit',
  'signal',
  'timeout',
  'stall',
  'deadline',
  'cancelled',
  'spawn-error',
  'log-limit',
  'never-started',
  'lost',
] as const
/**
 * How an attempt ended. `exit`: with a code other than 0. `never-started`: it provably did nothing. `lost`: it may have had
 * effects and its end was not seen.
 */
export type Outcome = (typeof OUTCOMES)[number]

/** Why an attempt is stopped; also the outcome it then has. */
export type StopWhy = Extract<Outcome, 'cancelled' | 'timeout' | 'stall' | 'deadline' | 'log-limit'>

/** Limits that a runner enforces: an attempt that passes one is stopped by its runner, which says so when it begins. */
export const RUNNER_LIMITS = ['timeout', 'stall', 'deadline', 'log-limit'] as const
/** Which limit an attempt has passed. */
export type RunnerLimit = (typeof RUNNER_LIMITS)[number]

/** The version of the records on disk. */
export const RECORD_VERSION = 1

/** The environment variable every process of an attempt carries; its value is the attempt key. */
export const MARKER = 'TENUTO_ATTEMPT_KEY'

/** What the runner of a home bears in the place of an attempt. */
export const runnerMark = (homeId: string): string => `runner/${homeId}`

/** What an attempt directory holds. Everything but `log`, `outputs` and `artifacts` is written by the runner alone. */
export const FILES = {
  /** Who may act on the attempt; made exclusively, never changed. */
  claim: 'claim',
  process: 'process.json',
  /** That it is being stopped; written when it was asked to end (TERM). */
  stop: 'stop.json',
  /** Made just before the start: where it is, the attempt may have had effects. */
  log: 'log',
  /** The range that was punched out of the log. */
  hole: 'log.hole.json',
  outputs: 'outputs',
  needs: 'needs.json',
  artifacts: 'artifacts',
  /** How it ended; written beside and renamed, never changed. */
  exit: 'exit.json',
} as const

/** A name as a folder: letters, digits, `_`, `-` and inner dots stay; every other byte becomes `%XX`. */
export const folderName = (name: string): string =>
  name
    .replace(/[^A-Za-z0-9_.-]/gu, (character) => Array.from(Buffer.from(character, 'utf8'), percent).join(''))
    .replace(/^\.+/, (dots) => percent(0x2e).repeat(dots.length))

const percent = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`

/** The folder of all attempts of a plan. */
export const planAttemptsDir = (home: string, plan: string): string =>
  join(home, 'attempts', folderName(plan))

/** The directory of attempt `n` of a job. */
export const attemptDir = (home: string, plan: string, job: string, n: number): string =>
  join(planAttemptsDir(home, plan), folderName(job), String(n))

/** The home that an attempt directory lies in. */
export const homeOfAttempt = (dir: string): string => join(dir, '../../../..')

/** The attempt key `<homeId>/<plan>/<job>/<n>`: the idempotency key of one attempt, and its marker. */
export const attemptKey = (homeId: string, plan: string, job: string, n: number): string =>
  `${homeId}/${plan}/${job}/${n}`

/** The beginning of the keys of all attempts of a plan. */
export const planKeyPrefix = (homeId: string, plan: string): string => `${homeId}/${plan}/`

/** What the id of a home begins with: a home that goes on with the history of another has an id of its own and the same root. */
export const homeRoot = (homeId: string): string => homeId.replace(/-.*$/s, '')

/** Whether two keys name one attempt of one history, in whichever home that has been. */
export const isSameAttempt = (one: string, other: string): boolean => {
  if (one === other) return true
  const [home, ...named] = one.split('/')
  const [otherHome, ...otherNamed] = other.split('/')
  return named.join('/') === otherNamed.join('/') && homeRoot(home ?? '') === homeRoot(otherHome ?? '')
}

/** What an attempt key names; undefined when the text is none. */
export const parseAttemptKey = (
  key: string,
): Readonly<{ homeId: string; plan: string; job: string; attempt: number }> | undefined => {
  const found = /^([^/]+)\/([^/]+)\/(.+)\/([1-9][0-9]*)$/s.exec(key)
  if (found === null) return undefined
  const [, homeId, plan, job, n] = found as unknown as [string, string, string, string, string]
  return { homeId, plan, job, attempt: Number(n) }
}

/** Which attempt is meant, and where its directory is. */
export type AttemptRef = Readonly<{
  key: string
  plan: string
  job: string
  attempt: number
  generation: number
  dir: string
}>

/** What bounds an attempt. Durations in milliseconds; an absent one bounds nothing. */
export type Limits = Readonly<{
  timeoutMs?: number
  /** Silence: time in which the log did not grow and somebody watched. */
  stallMs?: number
  /** What is left of the job's deadline at this start. */
  deadlineMs?: number
  /** Between TERM and KILL. */
  graceMs: number
  /** Disk the log may use; beyond it the middle is punched out. */
  logLimitBytes: number
  /** How much of the log's beginning stays when the middle is punched out. */
  headBytes: number
}>

/** The limits of a log, unless a spec says otherwise. */
export const LOG_LIMITS = { logLimitBytes: 100_000_000, headBytes: 10_000_000 } as const

/** Everything the runner needs to start an attempt. */
export type Spec = AttemptRef &
  Limits &
  Readonly<{
    /** Program and arguments, at least the program. */
    argv: readonly string[]
    cwd: string
    /** The whole environment but `TENUTO_*`, which the runner adds (`attemptVariables`). */
    env: Readonly<Record<string, string>>
    /** JSON text for the file `$TENUTO_NEEDS`; `{}` when absent. */
    needs?: string
    /**
     * The machine was booted, or a backup restored, since this attempt was first asked for. Files of before may be missing, so their
     * absence proves nothing: it is never started now, and `lost` unless an exit record is there or a process of it lives.
     */
    rebooted?: true
    /** Another daemon has begun it: if it lives, or begins only now, that is told (`found`). */
    recovered?: true
    /**
     * It is on record that its process has lived. Where its files are gone somebody has removed them: it is never started again, and
     * `lost` once no process of it lives.
     */
    begun?: true
  }>

/** An order to stop an attempt. `graceMs: 0` cuts short a grace that is running. `recovered` and `begun`: as of a spec. */
export type StopOrder = AttemptRef &
  Readonly<{ graceMs: number; why: StopWhy; recovered?: true; begun?: true }>

/** Two stops of one attempt as one: the first reason stands, and a later order can only make it quicker. */
export const bothStops = (first: StopOrder | undefined, then: StopOrder): StopOrder =>
  first === undefined
    ? then
    : { ...first, ...then, why: first.why, graceMs: Math.min(first.graceMs, then.graceMs) }

/** What an attempt that another daemon has begun is found to be: it lives; or nothing of it had begun, and it is started now. */
export type Found = 'adopted' | 'requeued'

/** The variables that tell a job about its attempt. */
export const attemptVariables = (ref: AttemptRef): Readonly<Record<string, string>> => ({
  TENUTO_PLAN: ref.plan,
  TENUTO_JOB: ref.job,
  TENUTO_ATTEMPT: String(ref.attempt),
  [MARKER]: ref.key,
  TENUTO_OUTPUT: join(ref.dir, FILES.outputs),
  TENUTO_ARTIFACTS: join(ref.dir, FILES.artifacts),
  TENUTO_NEEDS: join(ref.dir, FILES.needs),
})

/** One process of one boot of one machine; a pid alone is never an identity. */
export type Identity = Readonly<{
  pid: number
  /** When it started, in the unit of the system (Linux: clock ticks since boot); only ever compared. */
  start: string
  boot: string
}>

/** Who decides about an attempt. The first to create the file `claim` has decided; everybody else obeys. */
export type Claim = Readonly<{
  v: number
  key: string
  /** `runner` starts it; `cancel` and `sweep` made sure that nobody ever will. */
  by: 'runner' | 'cancel' | 'sweep'
  /** The process that made the claim. */
  holder: Identity
  epoch: number
  /** Epoch milliseconds. */
  at: number
  /** The limits it was started with, for a runner that adopts it. */
  limits?: Limits
}>

/** The main process of an attempt. */
export type ProcessRecord = Identity &
  Readonly<{
    v: number
    key: string
    /** Epoch milliseconds. */
    startedAt: number
    /** Milliseconds on the machine's monotonic clock, which all processes of one boot share. */
    startedMono: number
  }>

/** How an attempt began to be stopped, for a runner that adopts it: its grace goes on, and does not begin anew. */
export type StopRecord = Readonly<{
  v: number
  key: string
  why: StopWhy
  graceMs: number
  /** When it got TERM, in milliseconds on the machine's monotonic clock. */
  termMono: number
}>

/** A range of bytes, `from` included and `to` not. */
export type Range = Readonly<{ from: number; to: number }>

/** How an attempt ended. Times are epoch milliseconds; null where it did not start. */
export type ExitRecord = Readonly<{
  v: number
  key: string
  outcome: Outcome
  /** Null when it ended by a signal, did not start, or nobody saw it. */
  code: number | null
  signal: string | null
  startedAt: number | null
  /** When the main process exited, or the ruling was made. */
  endedAt: number
  /** On the monotonic clock; null where the start or the end was not seen. */
  durationMs: number | null
  pid: number | null
  /** Processes that lived on after the main process and were ended. */
  leftovers: number
  log: Readonly<{ bytes: number; hole?: Range }>
  error?: string
  warnings?: readonly string[]
}>

/** The end of an attempt as the executor tells it. */
export type AttemptReport = AttemptRef &
  Readonly<{
    record: ExitRecord
    /** Undefined when the job wrote none. */
    outputs: JsonObject | undefined
    /** Of the runner and of reading the outputs. */
    warnings: readonly string[]
  }>

/** An attempt whose process lives. */
export type LiveAttempt = Readonly<{
  key: string
  plan: string
  job: string
  attempt: number
  pid: number
  /** Null when that is not known. */
  startedAt: number | null
}>

/** Reads a claim; undefined when the text is none, as after a crash in the middle of writing it. */
export const readClaim = (text: string): Claim | undefined =>
  readObject(text, (claim) => {
    const by = claim['by']
    if (by !== 'runner' && by !== 'cancel' && by !== 'sweep') return undefined
    const sound =
      isRecord(claim) && isIdentity(claim['holder']) && isNumber(claim['epoch']) && isNumber(claim['at'])
    return sound && (claim['limits'] === undefined || isLimits(claim['limits']))
      ? (claim as Claim)
      : undefined
  })

/** Reads the record of a main process; undefined when the text is none. */
export const readProcessRecord = (text: string): ProcessRecord | undefined =>
  readObject(text, (record) =>
    isRecord(record) && isIdentity(record) && isNumber(record['startedAt']) && isNumber(record['startedMono'])
      ? (record as ProcessRecord)
      : undefined,
  )

/** Reads how an attempt began to be stopped; undefined when the text says nothing of it. */
export const readStopRecord = (text: string): StopRecord | undefined =>
  readObject(text, (record) =>
    isRecord(record) &&
    isStopWhy(record['why']) &&
    isNumber(record['graceMs']) &&
    isNumber(record['termMono'])
      ? (record as StopRecord)
      : undefined,
  )

/** Reads an exit record; undefined when the text is none. */
export const readExitRecord = (text: string): ExitRecord | undefined =>
  readObject(text, (record) => (isExitRecord(record) ? record : undefined))

/** Reads the range of `log.hole.json`; undefined when the text is none. */
export const readHole = (text: string): Range | undefined =>
  readObject(text, (hole) => {
    const { from, to } = hole
    return isNumber(from) && isNumber(to) && from >= 0 && to > from ? { from, to } : undefined
  })

/** Whether a value is a number or missing. */
export const isOptionalNumber = (value: unknown): boolean => value === undefined || isNumber(value)
const isRecord = (value: JsonRecord): boolean => value['v'] === RECORD_VERSION && isString(value['key'])

const isIdentity = (value: unknown): boolean =>
  isObject(value) &&
  isNumber(value['pid']) &&
  value['pid'] > 0 &&
  isString(value['start']) &&
  isString(value['boot'])

const isStopWhy = (value: unknown): boolean =>
  value === 'cancelled' || (RUNNER_LIMITS as readonly unknown[]).includes(value)

/** Whether a value is the limits of an attempt. */
export const isLimits = (value: unknown): value is JsonRecord =>
  isObject(value) &&
  isOptionalNumber(value['timeoutMs']) &&
  isOptionalNumber(value['stallMs']) &&
  isOptionalNumber(value['deadlineMs']) &&
  isNumber(value['graceMs']) &&
  isNumber(value['logLimitBytes']) &&
  isNumber(value['headBytes'])

/** Whether a value is an exit record of this version. */
export const isExitRecord = (value: unknown): value is ExitRecord =>
  isObject(value) &&
  isRecord(value) &&
  (OUTCOMES as readonly unknown[]).includes(value['outcome']) &&
  (value['code'] === null || isNumber(value['code'])) &&
  (value['signal'] === null || isString(value['signal'])) &&
  (value['startedAt'] === null || isNumber(value['startedAt'])) &&
  isNumber(value['endedAt']) &&
  isObject(value['log']) &&
  isNumber(value['log']['bytes'])
