/**
 * Names and records of the attempt directory, and what daemon and runner say to each other. The files are the truth; the
 * messages are hints about them.
 */
import { join } from 'node:path'
import type { Json, JsonObject } from './json.ts'

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

/** Versions of the records on disk and of the protocol on the socket. */
export const RECORD_VERSION = 1
/** The version of the socket protocol. */
export const PROTOCOL_VERSION = 1

/** The environment variable every process of an attempt carries; its value is the attempt key. */
export const MARKER = 'TENUTO_ATTEMPT_KEY'

/** What an attempt directory holds. Everything but `log`, `outputs` and `artifacts` is written by the runner alone. */
export const FILES = {
  /** Who may act on the attempt; made exclusively, never changed. */
  claim: 'claim',
  process: 'process.json',
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

/** What the daemon says. The first line is `hello`. */
export type ToRunner =
  | Readonly<{ type: 'hello'; v: number; epoch: number; build: string }>
  | Readonly<{ type: 'ensure'; spec: Spec }>
  | Readonly<{ type: 'stop'; order: StopOrder }>
  | Readonly<{ type: 'sweep'; prefix: string }>
  | Readonly<{ type: 'live'; id: number }>

/** What the runner says. After `refused` it hangs up. */
export type FromRunner =
  | Readonly<{ type: 'welcome'; v: number; pid: number; build: string }>
  | Readonly<{
      type: 'refused'
      why: 'epoch' | 'protocol'
      message: string
      /** What the runner speaks, and its build. */
      v?: number
      build?: string
    }>
  /** It stops the attempt by itself. Said when that begins, and again whenever the attempt is ensured before its end. */
  | Readonly<{ type: 'stopping'; key: string; why: RunnerLimit }>
  | Readonly<{ type: 'ended'; record: ExitRecord }>
  /** Its process has lived for a second. Said once, and again when it is ensured as one of which that is not known. */
  | Readonly<{ type: 'begun'; key: string; pid: number }>
  /** Said of an attempt that was asked for as `recovered`, before its end. `pid` is null when it could not be started. */
  | Readonly<{ type: 'found'; key: string; how: Found; pid: number | null }>
  | Readonly<{ type: 'swept'; prefix: string; leftovers: number }>
  | Readonly<{ type: 'live'; id: number; attempts: readonly LiveAttempt[] }>

/** Reads a claim; undefined when the text is none, as after a crash in the middle of writing it. */
export const readClaim = (text: string): Claim | undefined =>
  parse(text, (claim) => {
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
  parse(text, (record) =>
    isRecord(record) && isIdentity(record) && isNumber(record['startedAt']) && isNumber(record['startedMono'])
      ? (record as ProcessRecord)
      : undefined,
  )

/** Reads an exit record; undefined when the text is none. */
export const readExitRecord = (text: string): ExitRecord | undefined =>
  parse(text, (record) => (isExitRecord(record) ? record : undefined))

/** Reads the range of `log.hole.json`; undefined when the text is none. */
export const readHole = (text: string): Range | undefined =>
  parse(text, (hole) => {
    const { from, to } = hole
    return isNumber(from) && isNumber(to) && from >= 0 && to > from ? { from, to } : undefined
  })

/** Reads one line of the runner; undefined when it is not one this version knows. */
export const readFromRunner = (line: string): FromRunner | undefined =>
  parse(line, (message) => {
    switch (message['type']) {
      case 'welcome':
        return isNumber(message['v']) && isNumber(message['pid']) && isString(message['build'])
          ? (message as FromRunner)
          : undefined
      case 'refused':
        return isString(message['message']) &&
          isString(message['why']) &&
          isOptionalNumber(message['v']) &&
          (message['build'] === undefined || isString(message['build']))
          ? (message as FromRunner)
          : undefined
      case 'stopping':
        return isString(message['key']) && isRunnerLimit(message['why']) ? (message as FromRunner) : undefined
      case 'ended':
        return isExitRecord(message['record']) ? (message as FromRunner) : undefined
      case 'begun':
        return isString(message['key']) && isNumber(message['pid']) ? (message as FromRunner) : undefined
      case 'found':
        return isString(message['key']) &&
          (message['how'] === 'adopted' || message['how'] === 'requeued') &&
          (message['pid'] === null || isNumber(message['pid']))
          ? (message as FromRunner)
          : undefined
      case 'swept':
        return isString(message['prefix']) ? (message as FromRunner) : undefined
      case 'live':
        return isNumber(message['id']) && Array.isArray(message['attempts'])
          ? (message as FromRunner)
          : undefined
      default:
        return undefined
    }
  })

/** Reads one line of the daemon; undefined when it is not one this version knows. */
export const readToRunner = (line: string): ToRunner | undefined =>
  parse(line, (message) => {
    switch (message['type']) {
      case 'hello':
        return isNumber(message['v']) && isNumber(message['epoch']) && isString(message['build'])
          ? (message as ToRunner)
          : undefined
      case 'ensure':
        return isSpec(message['spec']) ? (message as ToRunner) : undefined
      case 'stop': {
        const order = message['order']
        return isRef(order) && isNumber(order['graceMs']) && isString(order['why'])
          ? (message as ToRunner)
          : undefined
      }
      case 'sweep':
        // An empty prefix would name the processes of every home.
        return isString(message['prefix']) && /^[^/]+\/[^/]+\/$/.test(message['prefix'])
          ? (message as ToRunner)
          : undefined
      case 'live':
        return isNumber(message['id']) ? (message as ToRunner) : undefined
      default:
        return undefined
    }
  })

/** How much of an outputs file is read. */
export const OUTPUTS_LIMIT_BYTES = 1_000_000
const WARNINGS_MAX = 20

/** The outputs of a job and what was left out of them. `outputs` is undefined when there are none. */
export type ParsedOutputs = Readonly<{ outputs: JsonObject | undefined; warnings: readonly string[] }>

/**
 * Reads an outputs file: lines of `key=value` (a text) or of a JSON object; a later line wins. Lines that are neither, and
 * everything past the limit, are left out and named. No key is special, `__proto__` included.
 */
export const parseOutputs = (file: Uint8Array): ParsedOutputs => {
  const outputs = new Map<string, Json>()
  const warnings: string[] = []
  const within = file.byteLength > OUTPUTS_LIMIT_BYTES ? wholeLines(file) : file
  const lines = new TextDecoder().decode(within).split('\n')
  let bad = 0
  for (const [index, line] of lines.entries()) {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    if (text.trim() === '' || addOutputs(outputs, text)) continue
    bad += 1
    if (bad <= WARNINGS_MAX)
      warnings.push(`outputs: line ${index + 1} is neither key=value nor a JSON object`)
  }
  if (bad > WARNINGS_MAX) warnings.push(`outputs: ${bad - WARNINGS_MAX} more such lines`)
  if (within !== file) warnings.push(`outputs: everything past ${OUTPUTS_LIMIT_BYTES} bytes was left out`)
  return { outputs: outputs.size === 0 ? undefined : inert(outputs), warnings }
}

/** The last line before the limit may be half a line; it is left out with the rest. */
const wholeLines = (file: Uint8Array): Uint8Array => {
  const within = file.subarray(0, OUTPUTS_LIMIT_BYTES)
  return within.subarray(0, within.lastIndexOf(0x0a) + 1)
}

const addOutputs = (outputs: Map<string, Json>, line: string): boolean => {
  if (line.trimStart().startsWith('{')) {
    const object = parse(line, (value) => value)
    if (object === undefined) return false
    for (const key of Object.keys(object)) outputs.set(key, object[key] as Json)
    return true
  }
  const equals = line.indexOf('=')
  const key = line.slice(0, Math.max(0, equals))
  // Neither side is trimmed: a key with a blank beside it was meant as something else.
  if (key === '' || key !== key.trim()) return false
  outputs.set(key, line.slice(equals + 1))
  return true
}

/** `fromEntries` defines properties and never calls a setter, so `__proto__` is a key like any other. */
const inert = (outputs: Map<string, Json>): JsonObject => Object.fromEntries(outputs)

type Loose = Readonly<Record<string, unknown>>

/** The value `read` makes of the JSON object in a text; undefined when there is none. */
const parse = <T>(text: string, read: (object: Loose) => T | undefined): T | undefined => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return isObject(value) ? read(value) : undefined
}

const isObject = (value: unknown): value is Loose =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isString = (value: unknown): value is string => typeof value === 'string'
const isRunnerLimit = (value: unknown): boolean => (RUNNER_LIMITS as readonly unknown[]).includes(value)
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
const isOptionalNumber = (value: unknown): boolean => value === undefined || isNumber(value)
const isRecord = (value: Loose): boolean => value['v'] === RECORD_VERSION && isString(value['key'])

const isIdentity = (value: unknown): boolean =>
  isObject(value) &&
  isNumber(value['pid']) &&
  value['pid'] > 0 &&
  isString(value['start']) &&
  isString(value['boot'])

const isLimits = (value: unknown): value is Loose =>
  isObject(value) &&
  isOptionalNumber(value['timeoutMs']) &&
  isOptionalNumber(value['stallMs']) &&
  isOptionalNumber(value['deadlineMs']) &&
  isNumber(value['graceMs']) &&
  isNumber(value['logLimitBytes']) &&
  isNumber(value['headBytes'])

const isRef = (value: unknown): value is Loose =>
  isObject(value) &&
  isString(value['key']) &&
  parseAttemptKey(value['key']) !== undefined &&
  isString(value['plan']) &&
  isString(value['job']) &&
  isNumber(value['attempt']) &&
  isNumber(value['generation']) &&
  isString(value['dir'])

const isSpec = (value: unknown): boolean =>
  isRef(value) &&
  isLimits(value) &&
  Array.isArray(value['argv']) &&
  value['argv'].length > 0 &&
  value['argv'].every(isString) &&
  isString(value['cwd']) &&
  isObject(value['env']) &&
  Object.values(value['env']).every(isString)

const isExitRecord = (value: unknown): value is ExitRecord =>
  isObject(value) &&
  isRecord(value) &&
  (OUTCOMES as readonly unknown[]).includes(value['outcome']) &&
  (value['code'] === null || isNumber(value['code'])) &&
  (value['signal'] === null || isString(value['signal'])) &&
  (value['startedAt'] === null || isNumber(value['startedAt'])) &&
  isNumber(value['endedAt']) &&
  isObject(value['log']) &&
  isNumber(value['log']['bytes'])
