/**
 * What lies in the home of a world beside its journal: the attempt folders of its plans, the folders they were given to run in, their
 * secrets, and what was moved aside. Retention takes it for the disk.
 */
import type { KeptFolders } from '../../src/actors/kept-folders.ts'
import { attemptDir, parseAttemptKey, planAttemptsDir } from '../../src/attempt.ts'
import type { Choices } from './choices.ts'
import { Gone } from './machine.ts'
import type { Directory, Premises } from './premises.ts'
import type { Life, Timeline } from './timeline.ts'

/** The folders of a home, which outlive whoever holds it. */
export type Folders = Readonly<{
  /** As a plan is taken in. */
  make: (plan: string) => void
  /** As one is refused. */
  drop: (plan: string) => void
  /** What of a plan is there. */
  of: (plan: string) => Readonly<Record<'attempts' | 'work' | 'secrets' | 'moved', boolean>>
  /** Folders of attempts that were executed and that are gone, though nobody but retention could have removed them; `cleared`: it has. */
  lost: (plan: string, cleared: boolean) => readonly string[]
  /** Retention's end of them, for one life of the daemon. */
  kept: (life: Life) => KeptFolders
}>

/** What the folders need. */
export type FoldersPorts = Readonly<{
  home: string
  time: Timeline
  premises: Premises
  choices: Choices
  crash: (where: string) => void
  tell: (line: string) => void
  wrong: (what: string) => void
}>

const ATTEMPT_BYTES = 1_000

/** No folder of any plan. */
export const folders = ({ home, time, premises, choices, crash, tell, wrong }: FoldersPorts): Folders => {
  const work = new Set<string>()
  const secrets = new Map<string, number>()
  const moved = new Map<string, string>()
  let moves = 0

  const inside = (plan: string): readonly (readonly [string, Readonly<Directory>])[] => {
    const prefix = `${planAttemptsDir(home, plan)}/`
    return [...premises.directories].filter(([dir]) => dir.startsWith(prefix))
  }
  const names = (): readonly string[] => {
    const before = `${home}/attempts/`.length
    return [
      ...new Set([...premises.directories.keys()].map((dir) => dir.slice(before, dir.indexOf('/', before)))),
    ]
  }
  const isOwn = ({ claim, exit, process, stop, log }: Readonly<Directory>): boolean =>
    (claim !== undefined && claim !== 'cut off') ||
    [exit, process, stop].some((file) => file !== undefined) ||
    !log
  const liesUnder = (plan: string): void => {
    for (const { key } of premises.living())
      if (parseAttemptKey(key)?.plan === plan)
        wrong(`the folder of ${plan} is removed under ${key}, which lives`)
  }
  /** Around each thing that is done to a folder the process may die, and a folder may not let it be done. */
  const around = (life: Life, where: string, act: () => void): void => {
    if (!life.alive) throw new Gone()
    const how = choices.strike('crash beside a folder', where)
    if (how !== undefined && how >= 0.5) act()
    if (how !== undefined) {
      crash(`${how < 0.5 ? 'before' : 'after'} ${where}`)
      throw new Gone()
    }
    if (choices.strike('fail a folder', where) !== undefined) {
      tell(`${where} fails`)
      throw Object.assign(new Error(`planted: ${where}`), { code: 'EIO' })
    }
    act()
  }
  const kept = (life: Life): KeptFolders => ({
    check: () => {},
    names: async () => names(),
    sizeOf: async (name) => {
      const attempts = inside(name).length
      return { attempts, bytes: attempts * ATTEMPT_BYTES }
    },
    changedAt: (name) => {
      const made = inside(name).map(([, { madeAt }]) => madeAt)
      return made.length === 0 ? undefined : Math.max(...made)
    },
    isOwn: async (name) => inside(name).every(([, files]) => isOwn(files)),
    isThere: (name) => inside(name).length > 0 || work.has(name),
    moveAside: (name, which) => {
      const there = which === 'work' ? work.has(name) : inside(name).length > 0
      if (!there) return
      around(life, `moving the ${which} of ${name} aside`, () => {
        moves += 1
        moved.set(`${name}.${moves}`, name)
        if (which === 'work') return void work.delete(name)
        liesUnder(name)
        for (const [dir] of inside(name)) premises.moveAside(dir)
      })
    },
    moved: async () => [...moved.keys()],
    deleteMoved: async (name) => around(life, `deleting ${name}`, () => void moved.delete(name)),
    secrets: () =>
      [...secrets].map(([plan, since]) => ({
        plan,
        since,
        drop: () => around(life, `dropping the secrets of ${plan}`, () => void secrets.delete(plan)),
      })),
    dropSecrets: (plan) => {
      if (secrets.has(plan)) around(life, `dropping the secrets of ${plan}`, () => void secrets.delete(plan))
    },
  })
  return {
    make: (plan) => {
      work.add(plan)
      secrets.set(plan, time.wall())
    },
    drop: (plan) => {
      work.delete(plan)
      secrets.delete(plan)
    },
    of: (plan) => ({
      attempts: inside(plan).length > 0,
      work: work.has(plan),
      secrets: secrets.has(plan),
      moved: [...moved.values()].includes(plan),
    }),
    lost: (plan, cleared) =>
      [...premises.executions.keys()].flatMap((key) => {
        const name = parseAttemptKey(key)
        if (cleared || name?.plan !== plan) return []
        const dir = attemptDir(home, plan, name.job, name.attempt)
        return premises.directories.has(dir) || premises.removed.has(dir) ? [] : [dir]
      }),
    kept,
  }
}
