import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Address, jobAddress, planAddress } from '../../src/address.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { operator } from '../../src/process.ts'
import type { EventShape } from '../../src/views/shapes.ts'
import { ask } from '../http/served.ts'
import { mailOf } from '../journal/batches.ts'
import { openFolder } from './tenuto.ts'

const PLAN = 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n'

/** Puts messages into the mail of a home that nobody holds: what another version, or a mistake of this one, may have left there. */
const mailed = async (home: string, ...messages: readonly (readonly [Address, object])[]): Promise<void> => {
  const journal = await sqliteJournal({
    file: join(home, 'journal.db'),
    durability: 'normal',
    boot: { bootId: 'boot', pid: process.pid, build: 'test', at: Date.now() },
  })
  const { mail } = await journal.head()
  const added = messages.map(([address, event], at) =>
    mailOf(mail + at + 1, address, { event: JSON.stringify(event), at: Date.now() }),
  )
  await journal.commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, added } })
  await journal.stop(true)
}

test('dead letters are listed, shown whole, delivered again and discarded, with a holder and without one', async () => {
  const { home, file, run, start, unsound } = openFolder()
  file('p.yaml', PLAN)
  const plan = (await run('run', 'p.yaml')).out.split(' ')[0] ?? ''
  await mailed(
    home,
    [jobAddress(plan, 'a'), { type: 'weather.changed', at: 1, text: 'x'.repeat(300) }],
    [planAddress(plan), { type: 'retry.requested', at: 1, retry: null }],
    [planAddress('gone-aaaaaa'), { type: 'job.settled', at: 1 }],
  )
  await run('sweep')

  const listed = await run('dead')
  const letters = JSON.parse((await run('dead', '--json')).out) as { id: number; type: string; job: string }[]
  const idOf = (type: string): string => String(letters.find((letter) => letter.type === type)?.id)
  const whole = await run('dead', idOf('weather.changed'))
  const refused = await run('dead', 'redeliver', idOf('job.settled'))
  const discarded = await run('dead', 'discard', idOf('job.settled'))
  const again = await run('dead', 'discard', idOf('job.settled'))
  const daemon = start('up')
  await daemon.heard('serving')
  const redelivered = await run(
    'dead',
    'redeliver',
    idOf('retry.requested'),
    '--reason',
    'once more',
    '--json',
  )
  // It is delivered once that is on record, and refused again after that.
  await expect
    .poll(async () => (await ask(join(home, 'sock'), 'GET /api/v1/state')).json)
    .toMatchObject({ counts: { dead_letters: 2, dead_letters_ever: 4 } })
  const held = JSON.parse((await run('dead', '--json')).out) as { id: number; type: string }[]
  const wholeHeld = await run('dead', idOf('weather.changed'))
  await run('down')
  await run('dead', 'discard', idOf('weather.changed'))
  const settled = await run('events', '--json')

  expect(listed.out).toMatch(new RegExp(`^\\d +\\S+ ago +${plan}/a +weather.changed +no state of a job`, 'm'))
  expect(letters.map(({ type }) => type).toSorted()).toEqual([
    'job.settled',
    'retry.requested',
    'weather.changed',
  ])
  expect(whole.out).toContain(`weather.changed to ${plan}/a`)
  expect(whole.out).toContain('x'.repeat(300))
  expect(wholeHeld.out).toBe(whole.out)
  expect([refused.code, discarded.code, again.code]).toEqual([7, 0, 4])
  expect(refused.err).toContain('tenuto dead discard')
  expect(JSON.parse(redelivered.out)).toMatchObject({ order: 'redeliver', changed: true })
  // Who settled each is on record, with a holder and without one.
  const orders = settled.out
    .split('\n')
    .filter((line) => /"type":"letter\.(discarded|redelivered)"/.test(line))
  expect(orders.map((line) => (JSON.parse(line) as EventShape).detail?.['by'])).toEqual([
    operator(),
    operator(),
  ])
  // It was poison, and is so again.
  expect(held.map(({ type }) => type)).toEqual(['retry.requested', 'weather.changed'])
  expect((await run('dead', '--json')).out.match(/"id"/g)).toHaveLength(1)
  expect(await unsound()).toEqual([])
})

test('wrong words are refused by their name', async () => {
  const { run } = openFolder()

  expect(await run('dead')).toMatchObject({
    code: 0,
    out: 'no dead letters: every message has been delivered\n',
  })
  expect(await run('dead', 'redeliver')).toMatchObject({ code: 2 })
  expect(await run('dead', 'drop', '1')).toMatchObject({ code: 2 })
  for (const word of ['list', 'xyz', '-1', '0', '1e3'])
    expect(await run('dead', word), word).toMatchObject({ code: 2 })
  expect(await run('dead', 'redeliver', 'all')).toMatchObject({
    code: 2,
    err: expect.stringContaining('dead takes the id of a letter, which is a number'),
  })
  expect(await run('dead', '1')).toMatchObject({ code: 4 })
  expect(await run('dead', 'discard', '1')).toMatchObject({ code: 4 })
})
