/**
 * A small terminal: what is written to it, as a person would see it. It knows the sequences that a live table needs and refuses
 * all others. Lines that are wider than it is wrap.
 */

/** What stands on the glass, and on what has scrolled off its top. */
export type Glass = Readonly<{
  write: (text: string) => void
  /** All lines to where the cursor is, without spaces at their ends. */
  lines: () => readonly string[]
  /** Whether the cursor is shown. */
  cursor: () => boolean
  resize: (width: number, height: number) => void
  width: () => number
  height: () => number
}>

const SEQUENCE = /\u001b\[(\??)(\d*)([A-Za-z])/y

/** A terminal of a size. */
export const glass = (size: Readonly<{ width: number; height: number }>): Glass => {
  let { width, height } = size
  let cursorShown = true
  const rows: string[] = ['']
  let [row, column] = [0, 0]
  const top = (): number => Math.max(0, rows.length - height)
  const down = (): void => {
    row++
    if (row === rows.length) rows.push('')
  }
  const put = (character: string): void => {
    if (column >= width) {
      column = 0
      down()
    }
    const line = (rows[row] ?? '').padEnd(column)
    rows[row] = line.slice(0, column) + character + line.slice(column + 1)
    column++
  }
  const steer = (isPrivate: boolean, count: number, command: string): void => {
    if (isPrivate && (command === 'h' || command === 'l')) {
      if (count === 25) cursorShown = command === 'h'
      return
    }
    if (command === 'A') row = Math.max(top(), row - Math.max(1, count))
    else if (command === 'B') row = Math.min(rows.length - 1, row + Math.max(1, count))
    else if (command === 'G') column = Math.max(1, count) - 1
    else if (command === 'K') rows[row] = count === 2 ? '' : (rows[row] ?? '').slice(0, column)
    else if (command !== 'm') throw new Error(`this terminal does not know ${command}`)
  }
  return {
    write: (text) => {
      for (let at = 0; at < text.length; at++) {
        const character = text.charAt(at)
        SEQUENCE.lastIndex = at
        const sequence = SEQUENCE.exec(text)
        if (sequence) {
          const [all, mark, count, command = ''] = sequence
          steer(mark === '?', Number(count), command)
          at += all.length - 1
        } else if (character === '\n') {
          column = 0
          down()
        } else if (character === '\r') column = 0
        else if (/\p{Cc}/u.test(character))
          throw new Error(`this terminal does not know ${JSON.stringify(character)}`)
        else put(character)
      }
    },
    lines: () => rows.slice(0, row + 1).map((line) => line.trimEnd()),
    cursor: () => cursorShown,
    resize: (...to) => {
      ;[width, height] = to
    },
    width: () => width,
    height: () => height,
  }
}
