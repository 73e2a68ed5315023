/**
 * The attempt folders and the processes of a home beside what its journal knows of attempts.
 *
 * In which order things are looked at decides what may be concluded. A folder or a process is made after the commit that began its
 * attempt: folders and processes are listed before the journal is read, so that what the journal does not know then, it never knew.
 * An exit record is written before the commit that takes the end in: records are read after the journal.
 */
import { type Dirent, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  attemptDir,
  attemptKey,
  type ExitRecord,
  FILES,
  folderName,
  isSameAttempt,
  parseAttemptKey,
  planAttemptsDir,
  readClaim,
  readExitRecord,
} from '../attempt.ts'
import { homePaths } from '../home.ts'
import { type Marked, markedProcesses } from '../process.ts'
import { readRecord } from '../record-file.ts'
import type { AuditEnd } from './audit.ts'
import { type Finding, type FindingKind, finding } from './finding.ts'

/** A job as its row has it. */
export type KnownJob = Readonly<{
  name: string
  /** Whether its attempts are processes with folders. */
  folders: boolean
  /** The latest attempt; 0 before the first. */
  attempt: number
  /** Whether that attempt has not ended. */
  open: boolean
}>

/** A plan as its rows have it. */
export type KnownPlan = Readonly<{
  id: string
  ended: boolean
  jobs: ReadonlyMap<string, KnownJob>
  /** The folders of what had ended by this position were removed; 0 when none were. */
  clearedTo: number
}>

/** Every plan of a home, by id. */
export type KnownPlans = ReadonlyMap<string, KnownPlan>

/** A folder below `attempts`, by its names as they are on disk. */
export type Folder = Readonly<{ plan: string; job: string | null; attempt: string | null; path: string }>

/** Lists the attempt folders, and what is in their places without being one. */
export const listFolders = (home: string): readonly Folder[] => {
  const { attempts } = homePaths(home)
  return entriesOf(attempts).flatMap((plan): readonly Folder[] => {
    const ofPlan = join(attempts, plan.name)
    if (!plan.isDirectory()) return [{ plan: plan.name, job: null, attempt: null, path: ofPlan }]
    return entriesOf(ofPlan).flatMap((job): readonly Folder[] => {
      const ofJob = join(ofPlan, job.name)
      if (!job.isDirectory()) return [{ plan: plan.name, job: job.name, attempt: null, path: ofJob }]
      return entriesOf(ofJob).map(({ name }) => ({
        plan: plan.name,
        job: job.name,
        attempt: name,
        path: join(ofJob, name),
      }))
    })
  })
}

/** Folders of attempts that the journal, read after they were listed, does not know; one for each folder as high up as it goes. */
export const orphanFolders = (
  home: string,
  folders: readonly Folder[],
  plans: KnownPlans,
): readonly Finding[] => {
  const plansByFolder = new Map([...plans.values()].map((plan) => [folderName(plan.id), plan]))
  const jobsOf = new Map<string, ReadonlyMap<string, KnownJob>>()
  const jobsByFolder = (plan: KnownPlan): ReadonlyMap<string, KnownJob> => {
    const known =
      jobsOf.get(plan.id) ?? new Map([...plan.jobs.values()].map((job) => [folderName(job.name), job]))
    jobsOf.set(plan.id, known)
    return known
  }
  const said = new Set<string>()
  const found: Finding[] = []
  const say = (path: string, what: string, place: Finding['place'] = {}): void => {
    if (said.has(path)) return
    said.add(path)
    found.push(finding('orphan-folder', { ...place, path }, what))
  }
  for (const { plan: ofPlan, job: ofJob, attempt, path } of folders) {
    const plan = plansByFolder.get(ofPlan)
    if (plan === undefined) {
      say(join(homePaths(home).attempts, ofPlan), 'the journal knows no plan of this name')
      continue
    }
    const job = ofJob === null ? undefined : jobsByFolder(plan).get(ofJob)
    if (job === undefined || !job.folders) {
      const at = join(planAttemptsDir(home, plan.id), ofJob ?? '')
      say(at, 'the plan has no job of this name that runs as a process', { plan: plan.id })
      continue
    }
    const n = attempt !== null && /^[1-9][0-9]*$/.test(attempt) ? Number(attempt) : undefined
    const place = { plan: plan.id, job: job.name }
    if (n === undefined) say(path, 'no attempt is called so', place)
    else if (n > job.attempt && !plan.ended) {
      const what = `the journal is older than it; the latest it knows is ${job.attempt === 0 ? 'none' : job.attempt}`
      found.push(finding('attempt-beyond', { ...place, attempt: n, path }, what))
    } else if (n > job.attempt) {
      const so = job.attempt === 0 ? 'none' : `${job.attempt}`
      say(path, `the journal knows no such attempt; the latest is ${so}`, { ...place, attempt: n })
    }
  }
  return found
}

/** Ends that need no record: nothing ran, or nobody saw it. */
const UNRECORDED = new Set(['never-started', 'lost'])

/**
 * Whether every end that the journal took stands in the folder of its attempt as well, and says the same. Records are not forced to
 * the medium: one of before `bootedAt` may have gone with the power.
 */
export const auditEnds = (
  home: string,
  homeId: string,
  plan: KnownPlan,
  ends: readonly AuditEnd[],
  bootedAt: number,
): readonly Finding[] => {
  const recorded = ends
    .filter(({ job }) => plan.jobs.get(job)?.folders === true)
    .filter(
      ({ job, attempt, position }) =>
        position > plan.clearedTo || existsSync(attemptDir(home, plan.id, job, attempt)),
    )
  const needed = recorded.filter(({ outcome }) => !UNRECORDED.has(outcome)).length
  if (plan.ended && needed > 0 && !existsSync(planAttemptsDir(home, plan.id))) {
    const what =
      needed === 1 ? 'the folder of its attempt is gone' : `the folders of its ${needed} attempts are gone`
    return [finding('folders-removed', { plan: plan.id }, what)]
  }
  return recorded.flatMap((end) => {
    const { job, attempt, position, outcome } = end
    const place = { plan: plan.id, job, attempt, position }
    const dir = attemptDir(home, plan.id, job, attempt)
    const key = attemptKey(homeId, plan.id, job, attempt)
    const claim = auditClaim(dir, place, key, outcome)
    const say = (kind: FindingKind, what: string): readonly Finding[] => [
      ...claim,
      finding(kind, place, what),
    ]
    const text = readRecord(join(dir, FILES.exit))
    if (text === undefined && UNRECORDED.has(outcome)) return claim
    const record = readExitRecord(text ?? '')
    if (record === undefined) {
      const what = `it ended (${inWords(end)}), and its exit record ${text === undefined ? 'is not there' : 'cannot be read'}`
      if (end.at < bootedAt) return say('exit-lost', what)
      return say(text === undefined ? 'exit-missing' : 'exit-unreadable', what)
    }
    if (!isSameAttempt(record.key, key)) return say('wrong-key', `its exit record is that of ${record.key}`)
    if (saysTheSame(end, record)) return claim
    // Who rules that an end is lost says that nobody recorded it, and nothing about what it was.
    if (record.outcome === 'lost')
      return say('exit-unseen', `it ended (${inWords(end)}), and its exit record says that nobody saw how`)
    return say('exit-differs', `the journal says ${inWords(end)}, its exit record ${inWords(record)}`)
  })
}

/** Whoever claims an attempt to keep it from starting has kept it from starting; after a power cut it may be `lost`. */
const auditClaim = (
  dir: string,
  place: Finding['place'],
  key: string,
  outcome: string,
): readonly Finding[] => {
  const claim = readClaim(readRecord(join(dir, FILES.claim)) ?? '')
  if (claim === undefined) return []
  if (!isSameAttempt(claim.key, key))
    return [finding('wrong-key', place, `its claim is that of ${claim.key}`)]
  if (claim.by === 'runner' || outcome === 'lost' || !existsSync(join(dir, FILES.log))) return []
  return [
    finding(
      'started-against-claim',
      place,
      `its claim (${claim.by}) kept it from starting, and it has a log`,
    ),
  ]
}

/** Whether a job has an open attempt without its folder. */
const isWithoutFolder = (
  home: string,
  { id }: KnownPlan,
  { name, attempt, open, folders }: KnownJob,
): boolean => open && folders && !existsSync(attemptDir(home, id, name, attempt))

/**
 * How many attempts are open and have no folder. While somebody holds the home that says little: a folder is made after the commit that
 * began its attempt.
 */
export const countWithoutFolder = (home: string, plans: KnownPlans): number =>
  [...plans.values()].reduce(
    (sum, plan) => sum + [...plan.jobs.values()].filter((job) => isWithoutFolder(home, plan, job)).length,
    0,
  )

/** The attempts that are open while nobody holds the home, and what will become of each. */
export const openAttempts = (
  home: string,
  plans: KnownPlans,
  begun: ReadonlyMap<string, ReadonlyMap<string, number>>,
  processes: readonly Marked[],
): readonly Finding[] => {
  const living = new Map(processes.map(({ key, pid }) => [key.slice(key.indexOf('/') + 1), pid]))
  return [...plans.values()].flatMap((plan) =>
    [...plan.jobs.values()]
      .filter(({ open, folders }) => open && folders)
      .map((job) => {
        const { name, attempt } = job
        const place = { plan: plan.id, job: name, attempt }
        const record = readExitRecord(
          readRecord(join(attemptDir(home, plan.id, name, attempt), FILES.exit)) ?? '',
        )
        if (record !== undefined)
          return finding(
            'waits-to-be-taken-in',
            place,
            `it ended (${inWords(record)}) while nobody held the home`,
          )
        const pid = living.get(`${plan.id}/${name}/${attempt}`)
        const hasBegun = pid !== undefined || begun.get(plan.id)?.get(name) === attempt
        if (hasBegun && isWithoutFolder(home, plan, job))
          return finding(
            'folder-gone',
            { ...place, ...(pid === undefined ? {} : { pid }) },
            `it had begun and its folder is gone; ${pid === undefined ? 'no process of it lives' : 'its process lives'}`,
          )
        return pid === undefined
          ? finding('end-unseen', place, 'it is open, and no process of it lives')
          : finding('runs-on', { ...place, pid }, 'it runs while nobody holds the home')
      }),
  )
}

/** The processes that carry the marker of a home. */
export const processesOf = (homeId: string): readonly Marked[] => markedProcesses(`${homeId}/`)

/** Processes, listed before the journal was read, whose attempt is not open: left behind, or strays. */
export const strayProcesses = (processes: readonly Marked[], plans: KnownPlans): readonly Finding[] =>
  processes.flatMap(({ pid, key }) => {
    const named = parseAttemptKey(key)
    if (named === undefined)
      return [finding('stray-process', { pid }, `it carries the marker ${key}, which names no attempt`)]
    const place = { plan: named.plan, job: named.job, attempt: named.attempt, pid }
    const plan = plans.get(named.plan)
    const job = plan?.jobs.get(named.job)
    if (plan === undefined || job === undefined)
      return [finding('stray-process', place, 'it belongs to an attempt that the journal does not know')]
    if (job.open && job.attempt === named.attempt) return []
    return plan.ended
      ? [finding('stray-process', place, 'it lives, and its plan has ended')]
      : [finding('left-behind', place, 'it lives, and its attempt has ended')]
  })

const saysTheSame = (end: AuditEnd, record: ExitRecord): boolean =>
  end.outcome === record.outcome && end.code === record.code && end.signal === record.signal

const inWords = ({
  outcome,
  code,
  signal,
}: Pick<ExitRecord, 'code' | 'signal'> & { outcome: string }): string => {
  const how = code !== null ? ` ${code}` : signal !== null ? ` ${signal}` : ''
  return `${outcome}${how}`
}

const entriesOf = (folder: string): readonly Dirent[] => {
  try {
    return readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'))
  } catch (error) {
    if (isGone(error)) return []
    throw error
  }
}

const isGone = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}
