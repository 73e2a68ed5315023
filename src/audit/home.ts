/**
 * A home, looked at from outside: the journal's file, the attempt folders and the processes, beside each other. Nothing is written,
 * nothing is started or ended, and a holder may go on meanwhile.
 */

import { folderName, runnerMark } from '../attempt.ts'
import { pause } from '../clock.ts'
import { homePaths } from '../home.ts'
import { standingOf } from '../home-folder.ts'
import { type Marked, markedProcesses } from '../process.ts'
import {
  auditEnds,
  countWithoutFolder,
  type Folder,
  type KnownPlans,
  listFolders,
  openAttempts,
  orphanFolders,
  processesOf,
  strayProcesses,
} from './attempts.ts'
import type { Finding } from './finding.ts'
import { lookAtHolder } from './holder.ts'
import { auditJournal, leavingIn, plansIn } from './journal.ts'
import { type JournalFile, readJournalFile } from './journal-file.ts'

/** What a look at a home came to. */
export type HomeLook = Readonly<{
  findings: readonly Finding[]
  /** What was looked at. */
  counts: Readonly<{ plans: number; steps: number; folders: number; processes: number }>
}>

/** A plan that ends has its processes ended: TERM, 2 s, KILL. What lives much longer is not about to go. */
const GOING_MS = 5_000
const LOOK_AGAIN_MS = 100

/**
 * Audits a home from its files: the history and the rows of the journal, the attempt folders, the processes. A home without a
 * journal holds nothing, and a folder of attempts in it is an orphan.
 * @throws {TenutoError} `STORE_CORRUPT`, `STORE_BROKEN`, `SCHEMA_NEWER`.
 */
export const auditHome = async (home: string): Promise<HomeLook> => {
  const heldBefore = lookAtHolder(home).held
  const {
    value: audit,
    folders,
    processes,
  } = gather(home, (file) => ({
    ...auditJournal(file),
    homeId: file.head.homeId,
  }))
  if (audit === undefined) return nothing(home, folders)
  const { plans, ends, begun, homeId, steps, bootedAt } = audit
  const findings = [...audit.findings]
  // Of a file whose structure is damaged no plan is known, and everything beside it would be called an orphan.
  if (!findings.some(({ kind }) => kind === 'file-damaged')) {
    for (const [id, ofPlan] of ends) {
      const plan = plans.get(id)
      if (plan !== undefined) findings.push(...auditEnds(home, homeId, plan, ofPlan, bootedAt))
    }
    findings.push(...(await beside(home, homeId, plans, folders, processes)))
    const open = openAttempts(home, plans, begun, processes)
    if (!heldBefore && !lookAtHolder(home).held) findings.push(...open)
  }
  return {
    findings,
    counts: { plans: plans.size, steps, folders: folders.length, processes: processes.length },
  }
}

/**
 * Looks at what lies and lives beside the journal: attempt folders and processes that belong to nothing, and how many attempts that are
 * open have no folder. Reads no history.
 * @throws {TenutoError} `STORE_CORRUPT`, `STORE_BROKEN`, `SCHEMA_NEWER`.
 */
export const lookBeside = async (home: string): Promise<HomeLook & Readonly<{ withoutFolder: number }>> => {
  const { value, folders, processes } = gather(home, (file) => ({
    plans: plansIn(file),
    leaving: leavingIn(file),
    homeId: file.head.homeId,
  }))
  if (value === undefined) return { ...nothing(home, folders), withoutFolder: 0 }
  const findings = await beside(home, value.homeId, value.plans, folders, processes)
  const counts = { plans: value.plans.size, steps: 0, folders: folders.length, processes: processes.length }
  return { findings, counts, withoutFolder: countWithoutFolder(home, value.plans) }
}

/** The process that watches the attempts of a home, also where it does not answer; undefined when there is none. */
export const runnerOf = (home: string): number | undefined => {
  const homeId = readJournalFile(homePaths(home).journal, ({ head }) => head.homeId)
  return homeId === undefined ? undefined : markedProcesses(runnerMark(homeId))[0]?.pid
}

/** Folders and processes come first: what they are about is in the journal by then. */
const gather = <T extends Readonly<{ leaving: ReadonlySet<string> }>>(
  home: string,
  read: (file: JournalFile) => T,
): Readonly<{ value: T | undefined; folders: readonly Folder[]; processes: readonly Marked[] }> => {
  const { journal } = homePaths(home)
  const listed = listFolders(home)
  const homeId = readJournalFile(journal, ({ head }) => head.homeId)
  // What bears the mark of a copy is the first's.
  const isOwn = standingOf(home).how === 'own'
  const processes = homeId === undefined || !isOwn ? [] : processesOf(homeId)
  const value = readJournalFile(journal, read)
  const leaving = new Set([...(value?.leaving ?? [])].map(folderName))
  return { folders: listed.filter(({ plan }) => !leaving.has(plan)), processes, value }
}

const nothing = (home: string, folders: readonly Folder[]): HomeLook => ({
  findings: orphanFolders(home, folders, new Map()),
  counts: { plans: 0, steps: 0, folders: folders.length, processes: 0 },
})

const beside = async (
  home: string,
  homeId: string,
  plans: KnownPlans,
  folders: readonly Folder[],
  processes: readonly Marked[],
): Promise<readonly Finding[]> => {
  let left = processes
  let strays = strayProcesses(left, plans)
  // Between two looks a process may have gone by itself, or be about to.
  for (let waited = 0; strays.length > 0 && waited < GOING_MS; waited += LOOK_AGAIN_MS) {
    const now = new Set(processesOf(homeId).map(({ pid, key }) => `${pid} ${key}`))
    left = left.filter(({ pid, key }) => now.has(`${pid} ${key}`))
    strays = strayProcesses(left, plans)
    if (!strays.some(({ kind }) => kind === 'stray-process')) break
    await pause(LOOK_AGAIN_MS)
  }
  return [...orphanFolders(home, folders, plans), ...strays]
}
