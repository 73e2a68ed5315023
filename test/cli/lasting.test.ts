import { expect, test } from 'vitest'
import { lasting } from '../../src/cli/lasting.ts'
import { TenutoError } from '../../src/errors.ts'
import type { HomeClient } from '../../src/http/client.ts'
import { definePlan } from '../../src/plans/define-plan.ts'
import { connect, gates, hold, until } from '../http/served.ts'

/** A client whose streams break before anything is told, as those of a holder that lets go just then. */
const deaf = (client: HomeClient, home: string): HomeClient => {
  const gone = async function* () {
    yield* []
    throw new TenutoError('NO_DAEMON', { home })
  }
  return { ...client, events: gone, followLog: gone }
}

/** A plan of a process that writes a line, then of a gate. */
const PLAN = definePlan({
  name: 'one',
  jobs: { writes: { run: 'printf "a line"' }, gate: { call: 'gate', needs: ['writes'] } },
})

test('what a holder committed and did not tell before it let go is read from its home', async () => {
  const gate = gates()
  const { home, runtime, served, client, submit } = await hold({ handlers: { gate: gate.handler } })
  const id = await submit(PLAN)
  await gate.begun('gate')
  const holder = lasting(home, await connect(home))
  const untold = lasting(home, deaf(client, home))
  gate.open('gate')
  await (await runtime.plan(id)).settled()
  const told = await runtime.catalog.events({ after: 0, limit: 1000 })
  await served.close()
  await runtime.stop()

  const ended = ({ job, to }: (typeof told)[number]) => job === undefined && to === 'succeeded'
  expect(await until(untold.events({ plan: id, after: 3 }), ended)).toEqual(told.slice(3))
  const listed: unknown[] = []
  for await (const event of untold.events({ plan: id, follow: false })) listed.push(event)
  expect(listed).toEqual(told)
  const pieces: string[] = []
  for await (const { bytes } of untold.followLog(id, 'writes', 1, { offset: 2 }))
    pieces.push(Buffer.from(bytes).toString())
  expect(pieces).toEqual(['line'])
  expect((await holder.catalog.plan(id)).state).toBe('succeeded')
  expect((await holder.catalog.jobs(id)).map(({ state }) => state)).toEqual(['succeeded', 'succeeded'])
})

test('where the home does not know the end either, following ends as that of a holder that has gone', async () => {
  const gate = gates()
  const { home, runtime, client, submit } = await hold({ handlers: { gate: gate.handler } })
  const id = await submit(PLAN)
  await gate.begun('gate')
  const before = await runtime.catalog.events({ after: 0, limit: 1000 })
  const untold = lasting(home, deaf(client, home))

  const heard: unknown[] = []
  const following = async () => {
    for await (const event of untold.events({ plan: id })) heard.push(event)
  }
  await expect(following()).rejects.toMatchObject({ code: 'NO_DAEMON' })
  expect(heard).toEqual(before)

  const logged = untold.followLog(id, 'gate', 1)[Symbol.asyncIterator]()
  await expect(logged.next()).rejects.toMatchObject({ code: 'NO_DAEMON' })
})
