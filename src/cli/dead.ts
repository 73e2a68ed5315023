/**
 * `tenuto dead`: the messages that could not be delivered; one of them whole, delivered again, or let go.
 */
import { systemClock } from '../clock.ts'
import { TenutoError } from '../errors.ts'
import type { DeadLetterShape, WholeLetterShape } from '../views/shapes.ts'
import type { ActFlags } from './act.ts'
import { columns, plain } from './cells.ts'
import { homeFlag, homeOf, type LetterOrder, readIn, settleLetter } from './home.ts'
import { type Screen, screen } from './screen.ts'
import { duration } from './words.ts'

const SHOWN = 50

/** Lists dead letters, shows one, or decides what becomes of one; answers the exit code. */
export const dead = async (
  what: string | undefined,
  id: string | undefined,
  flags: ActFlags,
): Promise<number> => {
  const on = screen(flags)
  if (what === 'redeliver' || what === 'discard') {
    if (id === undefined) throw new TenutoError('USAGE', { what: `dead ${what} needs the id of a letter` })
    return settle(what, idOf(id), flags, on)
  }
  if (id !== undefined)
    throw new TenutoError('USAGE', { what: `dead takes redeliver or discard before an id, not ${what}` })
  return what === undefined ? list(flags, on) : show(idOf(what), flags, on)
}

const idOf = (text: string): number => {
  if (!/^[1-9]\d{0,14}$/.test(text)) {
    const what = `dead takes the id of a letter, which is a number, or redeliver or discard before it; not ${text}`
    throw new TenutoError('USAGE', { what })
  }
  return Number(text)
}

const list = async (flags: ActFlags, on: Screen): Promise<number> => {
  const found = await readIn(homeOf(flags), (catalog) => catalog.deadLetters({ limit: SHOWN + 1 }))
  const letters = found.slice(0, SHOWN)
  if (on.json) on.answer(JSON.stringify(letters, null, 2))
  else if (letters.length === 0) on.tell('no dead letters: every message has been delivered')
  else for (const line of linesOf(letters, on, systemClock.now())) on.answer(line)
  if (found.length > letters.length) on.talk(`${on.marks.cut} and older ones`)
  if (letters.length > 0)
    on.talk(
      `one whole: tenuto dead ID${homeFlag(flags)}  again: tenuto dead redeliver ID${homeFlag(flags)}  let it go: tenuto dead discard ID${homeFlag(flags)}`,
    )
  return 0
}

/** Dead letters as rows of id, age, whom they were for, what they say and why they could not be delivered. */
export const linesOf = (
  letters: readonly DeadLetterShape[],
  { width, marks }: Pick<Screen, 'width' | 'marks'>,
  now: number,
): readonly string[] =>
  columns(
    letters.map((letter) => [
      String(letter.id),
      `${duration(now - Date.parse(letter.at))} ago`,
      plain(toOf(letter)),
      plain(letter.type),
      plain(letter.why),
    ]),
    { width, sign: marks.cut, whole: true },
  )

const toOf = ({ plan, job }: DeadLetterShape): string => (job === null ? plan : `${plan}/${job}`)

const show = async (id: number, flags: ActFlags, on: Screen): Promise<number> => {
  const letter = await readIn(homeOf(flags), (catalog) => catalog.deadLetter(id))
  if (on.json) on.answer(JSON.stringify(letter, null, 2))
  else for (const line of wholeLines(letter)) on.answer(line)
  return 0
}

const wholeLines = (letter: WholeLetterShape): readonly string[] => [
  `${letter.type} to ${plain(toOf(letter))}, ${letter.at}`,
  ...letter.error.split('\n').map((line) => `  ${plain(line)}`),
  ...JSON.stringify(letter.event, null, 2)
    .split('\n')
    .map((line) => plain(line)),
]

const settle = async (order: LetterOrder, id: number, flags: ActFlags, on: Screen): Promise<number> => {
  const { receipt, held } = await settleLetter(homeOf(flags), id, order, flags.reason)
  if (on.json) on.answer(JSON.stringify({ id, order, ...receipt }))
  else on.tell(`dead letter ${id} ${order === 'discard' ? 'is discarded' : 'is delivered again'}`)
  if (!held && order === 'redeliver')
    on.talk(`nothing runs yet; what comes of it goes on with: tenuto resume${homeFlag(flags)}`)
  return 0
}
