import { expect, test } from 'vitest'
import { planAddress } from '../../src/address.ts'
import { EMPTY_BATCH } from '../../src/journal/journal.ts'
import { memoryJournal } from '../../src/journal/memory.ts'
import { memoryDisk } from '../../src/journal/memory-disk.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { createRuntime } from '../../src/runtime.ts'
import { vault } from '../../src/secrets.ts'
import { ask, folder, gates, hold } from './served.ts'

const API = '/api/v1'

/** A home with a plan that runs and so many dead letters to it: what was in its mail when it was taken. */
const withLetters = async (count: number) => {
  const gate = gates()
  const disk = memoryDisk()
  const open = () => memoryJournal(disk, { bootId: 'b', pid: 1, build: 't', at: 0 })
  const options = { home: folder(), handlers: { gate: gate.handler }, ports: { journal: open } }
  const before = await createRuntime(options)
  const { id } = await before.submit(definePlan({ name: 'one', jobs: { a: { call: 'gate' } } }))
  await gate.begun('a')
  await before.stop()
  const journal = await open()
  const { mail } = await journal.head()
  const added = Array.from({ length: count }, (_, at) => ({
    id: mail + at + 1,
    address: planAddress(id),
    event: JSON.stringify({ type: 'weather.changed', at: 1 }),
    postedBy: null,
    deliveries: 0,
    at: 1,
  }))
  await journal.commit({ ...EMPTY_BATCH, mail: { ...EMPTY_BATCH.mail, added } })
  const held = await hold(options)
  await held.runtime.idle()
  return { ...held, id }
}

test('dead letters are read in pages, newest first, and one of them whole', async () => {
  const { served, client, id } = await withLetters(3)
  const get = async (path: string) => (await ask(served.path, `GET ${API}${path}`)).json

  const first = (await get('/dead-letters?limit=2')) as { items: { id: number }[]; next_cursor: string }
  const rest = await get(`/dead-letters?limit=2&cursor=${first.next_cursor}`)

  expect(first).toMatchObject({ items: [{ id: 3 }, { id: 2 }], next_cursor: '2' })
  expect(rest).toMatchObject({ items: [{ id: 1, plan: id, job: null, type: 'weather.changed' }] })
  expect(await get('/dead-letters/1')).toMatchObject({ event: { type: 'weather.changed' } })
  expect(await client.catalog.deadLetters()).toHaveLength(3)
  expect((await ask(served.path, `GET ${API}/dead-letters/99`)).status).toBe(404)
  expect((await ask(served.path, `GET ${API}/dead-letters/x`)).status).toBe(404)
})

test('a dead letter is discarded with 202 and the position of the commit, once', async () => {
  const { served, client, runtime, id } = await withLetters(2)
  const discard = `POST ${API}/dead-letters/1/discard`

  const done = await ask(served.path, discard, { body: { reason: 'no use', by: 'ann' } })
  const again = await ask(served.path, discard, { body: {} })
  const back = await client.settleLetter(2, 'redeliver')
  await runtime.idle()

  const [last] = await runtime.catalog.events({
    after: (done.json as { position: number }).position - 1,
    limit: 1,
  })
  expect([done.status, again.status, back.changed]).toEqual([202, 404, true])
  expect(last).toMatchObject({
    type: 'letter.discarded',
    plan: id,
    detail: { by: 'ann', why: 'no use', letter: 1 },
  })
  // It is as undeliverable as before.
  expect((await runtime.catalog.deadLetters()).map((letter) => letter.id)).toEqual([3])
  expect((await client.state()).counts).toMatchObject({
    dead_letters: 1,
    dead_letters_ever: 3,
    duplicates: 0,
  })
})

test('why a dead letter was settled is on record without the secrets of any plan', async () => {
  const { served, home, runtime } = await withLetters(2)
  vault(home).keep('other-aaaaaa', { TOKEN: 'canary-7f3a' })

  for (const [at, order] of ['discard', 'redeliver'].entries())
    await ask(served.path, `POST ${API}/dead-letters/${at + 1}/${order}`, {
      body: { reason: 'of canary-7f3a' },
    })
  await runtime.idle()

  const told = JSON.stringify(await runtime.catalog.events({ after: 0, limit: 1_000 }))
  expect(told).toContain('of ***')
  expect(told).not.toContain('canary')
})
