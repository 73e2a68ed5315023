/**
 * Where a command speaks: the answer to stdout, talk to stderr. A reader that has gone away is not an error.
 */
import { isatty } from 'node:tty'
import picocolors from 'picocolors'
import { surroundings } from '../config.ts'
import { shellWord } from '../home.ts'
import { writeAnswer, writeTalk } from './output.ts'
import { paragraph } from './paragraph.ts'

/** The flags every command has. */
export type Globals = Readonly<{
  json?: boolean
  quiet?: boolean
  verbose?: boolean
  color?: boolean
  input?: boolean
  home?: string
  allowStaleBuild?: boolean
}>

/** How a suggested command names this home: not at all when it is the usual one. */
export const homeFlag = (globals: Globals): string =>
  globals.home === undefined ? '' : ` --home ${shellWord(globals.home)}`

/** What a command writes to. */
export type Screen = Readonly<{
  json: boolean
  quiet: boolean
  /** Whether a live table may be drawn on stderr. */
  live: boolean
  /** Whether a person can be asked. */
  asks: boolean
  /** The columns of stdout; without end when it is no terminal. */
  width: number
  /** Colours for stdout. */
  paint: Paint
  marks: Marks
  /** What is drawn on stderr. */
  table: Page
  /** One line, or a JSON document, to stdout. */
  answer: (text: string) => void
  /** A sentence to stdout: on a terminal in lines that fit. */
  tell: (text: string) => void
  /** Bytes to stdout, as they are. */
  bytes: (bytes: Uint8Array) => void
  /**
   * A sentence to stderr: on a terminal in lines that fit, with `--json` as one line `{note}`; nothing with `-q`. While a table stands
   * there, it is said above it.
   */
  talk: (text: string) => void
  /** Says through something else what is said on stderr, until null: whoever draws there knows where there is room. */
  talkThrough: (say: ((text: string) => void) | null) => void
}>

type Paint = ReturnType<typeof picocolors.createColors>

/** What can be drawn on: its size is that of the moment, and changes with the window. */
export type Page = Readonly<{
  width: number
  height: number
  paint: Paint
  marks: Marks
  write: (text: string) => void
}>

/** The marks of states; each also has its word beside it. */
export type Marks = Readonly<
  Record<
    'succeeded' | 'failed' | 'running' | 'waiting' | 'skipped' | 'retry' | 'cut' | 'dot' | 'arrow',
    string
  >
>

/** For terminals that show more than ASCII. */
export const UNICODE: Marks = {
  succeeded: '✓',
  failed: '✗',
  running: '●',
  waiting: '◌',
  skipped: '⊘',
  retry: '↻',
  cut: '…',
  dot: '·',
  arrow: '→',
}

/** For all others. */
export const ASCII: Marks = {
  succeeded: '+',
  failed: 'x',
  running: '*',
  waiting: '.',
  skipped: '-',
  retry: '~',
  cut: '..',
  dot: '|',
  arrow: '->',
}

/** What a terminal without a size is taken for. */
const WIDTH = 80
const HEIGHT = 24

/** A terminal that nobody gave a size says 0. */
const sizeOf = (stream: NodeJS.WriteStream): Readonly<{ width: number; height: number }> => {
  // One that has gone away cannot say its size any more, and that is no reason to end.
  if (stream.listenerCount('error') === 0) stream.on('error', () => {})
  return { width: stream.columns || WIDTH, height: stream.rows || HEIGHT }
}

/** The columns of stderr; without end when it is no terminal. */
export const talkWidth = (): number => (isatty(2) ? sizeOf(process.stderr).width : Number.POSITIVE_INFINITY)

/** The screen of this process. */
export const screen = (globals: Globals): Screen => {
  const around = surroundings()
  const colored = globals.color !== false
  const quiet = globals.quiet === true
  const json = globals.json === true
  const marks = around.unicode ? UNICODE : ASCII
  const say = (text: string): void => writeTalk(`${text}\n`)
  let through = say
  const width = isatty(1) ? sizeOf(process.stdout).width : Number.POSITIVE_INFINITY
  return {
    json,
    quiet,
    live: around.live && !quiet && !json,
    asks: around.asks && globals.input !== false,
    width,
    paint: picocolors.createColors(colored && around.color.stdout),
    marks,
    table: {
      // Asked at each drawing, for windows are resized.
      get width() {
        return isatty(2) ? sizeOf(process.stderr).width : WIDTH
      },
      get height() {
        return isatty(2) ? sizeOf(process.stderr).height : HEIGHT
      },
      paint: picocolors.createColors(colored && around.color.stderr),
      marks,
      write: writeTalk,
    },
    answer: (text) => writeAnswer(`${text}\n`),
    tell: (text) => writeAnswer(`${json ? text : paragraph(text, width)}\n`),
    bytes: writeAnswer,
    talk: (text) => {
      if (!quiet) through(json ? spelled(JSON.stringify({ note: text })) : paragraph(text, talkWidth()))
    },
    talkThrough: (other) => {
      through = other ?? say
    },
  }
}

const STEERING = /[\p{Cc}\u2028\u2029]|\p{Bidi_Control}/gu

/** A text in which what would steer a terminal is spelled out, as JSON would; it may have lines. */
export const spelled = (text: string): string =>
  text.replace(STEERING, (character) =>
    character === '\n' || character === '\t'
      ? character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** Writes an error, whatever the flags: on a terminal in lines that fit. What it cites cannot steer the terminal. */
export const complain = (text: string): void => writeTalk(`${paragraph(spelled(text), talkWidth())}\n`)
