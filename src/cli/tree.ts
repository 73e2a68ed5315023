/**
 * `tenuto tree`: the supervision tree of whoever serves a home, what has happened to each part, and the actors that are in memory.
 */
import { lookAtHolder } from '../audit/holder.ts'
import { noAnswer } from '../holder.ts'
import type { TreeShape } from '../views/shapes.ts'
import { cut, fill, plain, shorten, widthOf } from './cells.ts'
import { awaitHolder, homeFlag, homeOf } from './home.ts'
import { type Globals, type Screen, screen } from './screen.ts'
import { counted, duration } from './words.ts'

/** Says how the parts of a holder are; answers the exit code. */
export const tree = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const home = homeOf(flags)
  const holder = await awaitHolder(home)
  if (!holder) {
    if (lookAtHolder(home).held) throw noAnswer(home)
    if (on.json) on.answer(JSON.stringify(null))
    else on.tell(`nobody serves ${home}, so that nothing is supervised`)
    on.talk(`start a daemon: tenuto up${homeFlag(flags)}`)
    return 5
  }
  const root = await holder.tree()
  holder.close()
  if (on.json) on.answer(JSON.stringify(root))
  else for (const line of treeLines(root, on)) on.answer(line)
  return 0
}

const NAME_MIN = 16
/** Room for how long, and the spaces between. */
const FACTS_WIDTH = 12

/** A node, and how deep it stands: what is drawn before its name, and before those below it. */
type Drawn = Readonly<{ node: TreeShape; before: string }>

const LINES = { child: '├─ ', last: '└─ ', past: '│  ' } as const
const ASCII_LINES = { child: '|- ', last: '`- ', past: '|  ' } as const
type Lines = typeof LINES | typeof ASCII_LINES

const walk = (node: TreeShape, before: string, below: string, lines: Lines): readonly Drawn[] => [
  { node, before },
  ...node.children.flatMap((child, at) => {
    const isLast = at === node.children.length - 1 && node.more === 0
    const [own, under] = isLast ? [lines.last, '   '] : [lines.child, lines.past]
    return walk(child, `${below}${own}`, `${below}${under}`, lines)
  }),
  ...(node.more > 0 ? [{ node: MORE(node.more), before: `${below}${lines.last}` }] : []),
]
const MORE = (more: number): TreeShape => ({
  id: `${more} more`,
  kind: 'actor',
  strategy: null,
  state: '',
  restarts: null,
  last_error: null,
  since_ms: null,
  mailbox: null,
  history: [],
  children: [],
  more: 0,
})

/** The tree in lines: names, states, for how long, what waits, how often restarted of how many that are allowed, the last error. */
export const treeLines = (
  root: TreeShape,
  { width, paint, marks }: Pick<Screen, 'width' | 'paint' | 'marks'>,
): readonly string[] => {
  const drawn = walk(root, '', '', marks.cut === '…' ? LINES : ASCII_LINES)
  const nameWidth = Math.max(...drawn.map(({ node, before }) => widthOf(before) + widthOf(plain(node.id))))
  const stateWidth = Math.max(...drawn.map(({ node }) => widthOf(node.state)))
  const states = Math.min(stateWidth, 20)
  // The state is what is asked for: a long name gives way, in its middle.
  const names = Math.min(nameWidth, Math.max(NAME_MIN, width - states - FACTS_WIDTH))
  return drawn.flatMap(({ node, before }) => {
    const name = fill(before + shorten(plain(node.id), names - widthOf(before), marks.cut), names)
    const state = fill(node.state, states)
    const line = `${name}  ${state}  ${facts(node).join('  ')}`.trimEnd()
    const isWell = node.last_error === null || node.state === 'running'
    const painted = cut(line, width)
    return [isWell ? painted : paint.yellow(painted), ...errorLine(node, before, width)]
  })
}

const facts = ({ kind, strategy, since_ms, mailbox, restarts }: TreeShape): readonly string[] => [
  ...(since_ms === null ? [] : [duration(since_ms)]),
  ...(kind === 'supervisor' && strategy !== null ? [strategy] : []),
  ...(mailbox === null || mailbox.depth === 0
    ? []
    : [
        `${counted(mailbox.depth, 'message')}${mailbox.oldest_ms === null ? '' : `, ${duration(mailbox.oldest_ms)} old`}`,
      ]),
  ...(restarts === null || restarts.count === 0
    ? []
    : [`${counted(restarts.count, 'restart')} of ${restarts.intensity} in ${duration(restarts.period_ms)}`]),
]
const errorLine = ({ last_error, history }: TreeShape, before: string, width: number): readonly string[] => {
  if (last_error === null) return []
  const at = history.at(-1)
  const ago = at === undefined ? '' : `${duration(at.ago_ms)} ago: `
  return [cut(`${' '.repeat(widthOf(before))}  ${ago}${plain(last_error)}`, width)]
}
