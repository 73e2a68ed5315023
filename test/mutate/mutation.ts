/**
 * Damage to the files of a journal, drawn from a seed: bits, whole pages, what is cut off and what is gone.
 */
import { existsSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/ids.ts'

const PAGE = 4096
const WAL_HEADER = 32
const FRAME = PAGE + 24

type Damage = (file: string, random: Random) => string

const draw = (random: Random, below: number): number => Math.floor(random() * below)

const edit = (file: string, change: (bytes: Buffer) => string): string => {
  const bytes = readFileSync(file)
  const what = change(bytes)
  writeFileSync(file, bytes)
  return what
}

const flip = (bytes: Buffer, at: number, bit: number): string => {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
  return `bit ${bit} of byte ${at} (page ${Math.floor(at / PAGE) + 1}, at ${at % PAGE})`
}
const bit: Damage = (file, random) =>
  edit(file, (bytes) => flip(bytes, draw(random, bytes.length), draw(random, 8)))
/** Where a page says what is in it, and where its rows lie. */
const headBit: Damage = (file, random) =>
  edit(file, (bytes) => {
    const page = draw(random, bytes.length / PAGE)
    return flip(bytes, page * PAGE + (page === 0 ? 100 : 0) + draw(random, 64), draw(random, 8))
  })
/** The head of the file, and the table of tables. */
const firstPageBit: Damage = (file, random) =>
  edit(file, (bytes) => flip(bytes, draw(random, Math.min(PAGE, bytes.length)), draw(random, 8)))
const bits: Damage = (file, random) =>
  edit(file, (bytes) =>
    Array.from({ length: 8 }, () => flip(bytes, draw(random, bytes.length), draw(random, 8))).join(', '),
  )
const pages = (bytes: Buffer, random: Random): readonly [number, number] => {
  const count = Math.floor(bytes.length / PAGE)
  return [draw(random, count), draw(random, count)]
}
const zeroPage: Damage = (file, random) =>
  edit(file, (bytes) => {
    const [page] = pages(bytes, random)
    bytes.fill(0, page * PAGE, (page + 1) * PAGE)
    return `page ${page + 1} zeroed`
  })
/** As a page is from which all rows were removed: sound, whatever it was before. */
const emptyPage: Damage = (file, random) =>
  edit(file, (bytes) => {
    const [page] = pages(bytes, random)
    const at = page * PAGE + (page === 0 ? 100 : 0)
    const isIndex = [2, 10].includes(bytes[at] ?? 0)
    bytes.fill(0, at, (page + 1) * PAGE)
    bytes[at] = isIndex ? 10 : 13
    bytes.writeUInt16BE(PAGE, at + 5)
    return `page ${page + 1} emptied`
  })
const repeatPage: Damage = (file, random) =>
  edit(file, (bytes) => {
    const [from, to] = pages(bytes, random)
    bytes.copy(bytes, to * PAGE, from * PAGE, (from + 1) * PAGE)
    return `page ${from + 1} again at ${to + 1}`
  })
const swapPages: Damage = (file, random) =>
  edit(file, (bytes) => {
    const [one, two] = pages(bytes, random)
    const kept = Buffer.from(bytes.subarray(one * PAGE, (one + 1) * PAGE))
    bytes.copy(bytes, one * PAGE, two * PAGE, (two + 1) * PAGE)
    kept.copy(bytes, two * PAGE)
    return `pages ${one + 1} and ${two + 1} swapped`
  })
const cutTo = (file: string, length: number): string => {
  truncateSync(file, length)
  return `cut to ${length} bytes`
}
const cut: Damage = (file, random) => cutTo(file, draw(random, readFileSync(file).length))
const cutAtPage: Damage = (file, random) =>
  cutTo(file, PAGE * draw(random, Math.floor(readFileSync(file).length / PAGE)))
const cutAtFrame: Damage = (file, random) => {
  const frames = Math.floor((readFileSync(file).length - WAL_HEADER) / FRAME)
  return cutTo(file, WAL_HEADER + FRAME * draw(random, frames))
}
const gone: Damage = (file) => {
  rmSync(file)
  return 'gone'
}
const noise: Damage = (file, random) =>
  edit(file, (bytes) => {
    for (let at = 0; at < bytes.length; at += 1) bytes[at] = draw(random, 256)
    return 'noise'
  })

/** How often each is drawn. */
const DAMAGES: readonly (readonly [times: number, part: string, name: string, damage: Damage])[] = [
  [24, '', 'bit', bit],
  [10, '', 'bit at the head of a page', headBit],
  [8, '', 'bit of the first page', firstPageBit],
  [6, '', 'eight bits', bits],
  [8, '', 'page zeroed', zeroPage],
  [8, '', 'page emptied', emptyPage],
  [8, '', 'page repeated', repeatPage],
  [8, '', 'pages swapped', swapPages],
  [4, '', 'cut', cut],
  [4, '', 'cut at a page', cutAtPage],
  [1, '', 'gone', gone],
  [1, '', 'noise', noise],
  [3, '-wal', 'log gone', gone],
  [4, '-wal', 'log cut', cut],
  [4, '-wal', 'log cut at a frame', cutAtFrame],
  [6, '-wal', 'log bit', bit],
  [2, '-wal', 'log pages swapped', swapPages],
  [1, '-wal', 'log noise', noise],
  [1, '-shm', 'shared memory gone', gone],
  [1, '-shm', 'shared memory noise', noise],
  [1, '-mark', 'mark gone', gone],
  [1, '-mark', 'mark bit', bit],
]
const TOTAL = DAMAGES.reduce((sum, [times]) => sum + times, 0)

/** Damages the journal of a home; answers the kind of damage, and what exactly. */
export const mutate = (home: string, random: Random): readonly [kind: string, what: string] => {
  for (;;) {
    let at = draw(random, TOTAL)
    const [, part, name, damage] = DAMAGES.find(([times]) => (at -= times) < 0) as (typeof DAMAGES)[number]
    const file = join(home, `journal.db${part}`)
    if (existsSync(file) && readFileSync(file).length > 0) return [name, damage(file, random)]
  }
}
