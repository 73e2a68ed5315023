/**
 * Mistakes planted in a copy of the source, each of which the simulator must find. A copy lies in `.mutants`, so that it finds the
 * packages of this one.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const SEEDS = 100

type Mutation = Readonly<{ name: string; file: string; from: string; to: string }>

const mutations: readonly Mutation[] = [
  {
    name: 'an effect before its commit',
    file: 'src/actors/host.ts',
    from: 'await journal.commit(batchOf(done, stored.rows))',
    to: 'for (const asked of done.effects) perform(asked)\n        await journal.commit(batchOf(done, stored.rows))',
  },
  {
    name: 'an acknowledgement in a second transaction',
    file: 'src/actors/transaction.ts',
    from: 'taken: open.taken, failed',
    to: 'taken: late.splice(0, late.length, ...open.taken), failed',
  },
  {
    name: 'a message dropped while draining',
    file: 'src/actors/host.ts',
    from: 'if (message.taken || message.id !== null) continue',
    to: "if (message.taken || message.id !== null || message.event.type === 'job.settled') continue",
  },
  {
    name: 'an undelivered message forgotten on reload',
    file: 'src/actors/loading.ts',
    from: 'of posted) boxes.put',
    to: 'of posted.slice(0, 0)) boxes.put',
  },
  {
    name: 'a settle applied twice',
    file: 'src/machines/plan.ts',
    from: 'open: context.open - verdict.settled',
    to: 'open: context.open - 2 * verdict.settled',
  },
]

/** Plants a mutation in a copy of the source; the text it replaces must stand there exactly once. */
const plant = ({ name, file, from, to }: Mutation): string => {
  const folder = join(root, '.mutants', name.replaceAll(' ', '-'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true })
  cpSync(join(root, 'test/sim'), join(folder, 'test/sim'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  const path = join(folder, file)
  const text = readFileSync(path, 'utf8')
  expect(text.split(from).length, `${file} has changed; this mutation is out of date`).toBe(2)
  const late = file.endsWith('transaction.ts') ? '\nconst late: number[] = []\n' : ''
  writeFileSync(path, text.replace(from, () => to) + late)
  return folder
}

test.each(mutations)(`${SEEDS} seeds find $name`, async (mutation) => {
  const folder = plant(mutation)
  const child = spawn(process.execPath, [join(folder, 'test/sim/main.ts'), '--seeds', String(SEEDS)], {
    cwd: folder,
  })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  const [code] = (await once(child, 'close')) as [number]

  expect(said).toMatch(/seed \d+ is wrong/)
  expect(code).toBe(1)
  rmSync(folder, { recursive: true, force: true })
})
