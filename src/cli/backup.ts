/**
 * `tenuto backup` and `tenuto restore`: a copy of what a home knows, and the way back from one.
 */
import { resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import { shellWord } from '../home.ts'
import { inBytes } from './check.ts'
import { backups, homeFlag, homeOf } from './home.ts'
import { type Globals, screen } from './screen.ts'
import { counted } from './words.ts'

/** The flags of `restore`. */
export type RestoreFlags = Globals & Readonly<{ force?: boolean }>

/** Copies the journal of the home, also while it is held. */
export const backup = async (file: string | undefined, flags: Globals): Promise<number> => {
  const on = screen(flags)
  if (file === '') throw new TenutoError('USAGE', { what: 'the file to write has no name' })
  const { backupHome } = await backups()
  const made = backupHome(homeOf(flags), file === undefined ? undefined : resolve(file), systemClock)
  if (on.json) on.answer(JSON.stringify(made))
  else {
    on.answer(made.path)
    on.talk(`${counted(made.plans, 'plan')} up to step ${made.position}, ${inBytes(made.bytes)}`)
    if (made.secrets > 0)
      on.talk(
        `the values of secrets of ${counted(made.secrets, 'plan')} are not in it; elsewhere give them again: tenuto secret set PLAN`,
      )
    on.talk(`back from it: tenuto restore ${shellWord(made.path)}${homeFlag(flags)}`)
  }
  return 0
}

const UNKNOWN_NAMED = 5

/** Puts a backup in the place of the home's journal. */
export const restore = async (file: string, flags: RestoreFlags): Promise<number> => {
  const on = screen(flags)
  const { restoreHome } = await backups()
  const home = homeOf(flags)
  const done = await restoreHome(home, resolve(file), flags.force === true, systemClock)
  if (on.json) {
    on.answer(JSON.stringify({ home, from: resolve(file), ...done }))
    return 0
  }
  on.tell(
    `${home} is as it was in ${resolve(file)}: ${counted(done.plans, 'plan')} up to step ${done.position}`,
  )
  if (done.kept !== null) on.talk(`the journal that was there is kept: ${done.kept}`)
  if (done.newer > 0)
    on.talk(
      `${counted(done.newer, 'attempt')} began since; what became of them is taken in again from their folders`,
    )
  if (done.missing > 0) {
    const [folders, are, each] =
      done.missing === 1 ? ['folder', 'is', 'it is'] : ['folders', 'are', 'they are']
    on.talk(
      `the ${folders} of ${counted(done.missing, 'attempt')} under way then ${are} not there: ${each} not started again, and lost if nothing of it lives`,
    )
  }
  if (done.unknown.length > 0) {
    const more = done.unknown.length - UNKNOWN_NAMED
    const named = done.unknown.slice(0, UNKNOWN_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '')
    on.talk(
      `${counted(done.unknown.length, 'plan')} with attempts ${done.unknown.length === 1 ? 'is' : 'are'} not in it: ${named}`,
    )
  }
  if (done.strays > 0)
    on.talk(`${counted(done.strays, 'process lives', 'processes live')} that belong to none of its plans`)
  if (done.unknown.length + done.strays > 0) on.talk(`look at them: tenuto doctor${homeFlag(flags)}`)
  on.talk(`nothing runs yet; go on: tenuto resume${homeFlag(flags)}`)
  return 0
}
