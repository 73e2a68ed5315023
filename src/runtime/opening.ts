/**
 * Taking a home: the lock, the log, the runner's program and the journal, in that order, and all of it given back when one fails.
 */
import { type RunnerProgram, runnerProgram } from '../actors/runner-program.ts'
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { HolderRecord } from '../holder.ts'
import { homePaths, shellWord } from '../home.ts'
import { type Standing, standingOf, writePlace } from '../home-folder.ts'
import { storeError } from '../journal/driver.ts'
import type { Journal, Opening } from '../journal/journal.ts'
import { type Hold, holdHome } from '../journal/lock.ts'
import { sqliteJournal } from '../journal/sqlite.ts'
import { type OpenLog, openLog } from '../log.ts'
import { bootId } from '../process.ts'
import type { RunningBuild } from '../running-build.ts'
import type { RuntimeOptions } from './contract.ts'

/** A home that is held, or ports in the place of one. */
export type OpenedHome = Readonly<{
  journal: Journal
  /** Goes on with the epoch of the journal on a connection of its own. */
  reopen: (again: Opening) => Promise<Journal>
  hold: Hold | null
  opened: OpenLog
  /** Of the runner. */
  program: RunnerProgram
}>

const ELSEWHERE =
  'this home stands in another folder than the one it was last held in, as a copy does: what ran there is lost here, and left alone'

/**
 * How a home stands to the folder it was last held in.
 * @throws {TenutoError} `HOME_COPIED`: what its files say of processes is said of those of another home.
 */
const standingFirmly = (home: string): Standing => {
  const standing = standingOf(home)
  if (standing.how !== 'copy') return standing
  throw new TenutoError('HOME_COPIED', {
    home,
    first: standing.first,
    journal: shellWord(homePaths(home).journal),
  })
}

/**
 * Takes a home, or the ports that are given instead.
 * @throws {TenutoError} `HOME_HELD`, `HOME_COPIED`, `SCHEMA_NEWER`, `STORE_CORRUPT`, `STORE_BROKEN`; then nothing is held.
 */
export const openHome = async (
  home: string,
  options: RuntimeOptions,
  running: RunningBuild,
): Promise<OpenedHome> => {
  const { stale } = running.comparison()
  const build = running.build.sourceHash
  const clock = options.ports?.clock ?? systemClock
  const paths = homePaths(home)
  const given = options.ports?.journal
  if (given) {
    const opened = await openLog({ level: 'silent' })
    // A runtime that is virtual in all leaves nothing on the disk.
    const program = options.ports?.attempts ? () => '' : runnerProgram(home)
    const journal = await given()
    return { journal, reopen: async () => journal, hold: null, opened, program }
  }
  const record: HolderRecord = {
    pid: process.pid,
    parent_pid: null,
    command: options.command ?? 'a program',
    started_at: new Date(clock.now()).toISOString(),
    boot_id: bootId(),
    url: null,
    sock: null,
    build,
    ...(stale === null ? {} : { stale }),
  }
  const hold = holdHome(home, record)
  let opened: OpenLog | undefined
  try {
    const standing = standingFirmly(paths.home)
    opened = await openLog({ file: paths.log, level: 'info' })
    const program = runnerProgram(home)
    if (stale !== null) opened.log.warn({ build, stale }, 'this build is stale')
    const booted = stale === null ? build : `${build}+stale`
    const boot = { bootId: record.boot_id, pid: process.pid, build: booted, at: clock.now() }
    const file = { file: paths.journal, boot, durability: options.durability ?? 'full' }
    const fromElsewhere = standing.how === 'elsewhere'
    const journal = await sqliteJournal({ ...file, fromElsewhere })
    if (fromElsewhere) opened.log.warn({}, ELSEWHERE)
    try {
      writePlace(paths.home, journal.opening.home)
    } catch (error) {
      opened.log.warn({ error: String(error) }, 'where this home is could not be written down')
    }
    return { journal, reopen: (again) => sqliteJournal({ ...file, again }), hold, opened, program }
  } catch (error) {
    await opened?.close()
    hold.release()
    throw storeError(paths.home, error)
  }
}
