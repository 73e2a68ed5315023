import { expect, test } from 'vitest'
import { createActor, createMachine, type InspectionEvent, setup } from 'xstate'
import { childMachine, startActor, supervisor, supervisorMachine } from '../../src/supervisor/index.ts'
import { rig } from './rig.ts'

const lamp = setup({
  actions: {
    burst: () => {
      throw new Error('it burst')
    },
  },
}).createMachine({
  initial: 'on',
  states: { on: { on: { 'switched.off': 'off', overloaded: { actions: 'burst' } } }, off: { type: 'final' } },
})

test('an XState actor is a child: done is a normal end, an error an abnormal one, and stop stops it', async () => {
  const { ports, quiet, log } = rig()
  const sup = supervisor(
    { backoff: { minMs: 0, maxMs: 0 } },
    [{ id: 'lamp', restart: 'transient', start: (context) => startActor(createActor(lamp), context) }],
    ports,
  )
  await sup.start()
  const send = async (type: 'switched.off' | 'overloaded'): Promise<void> => {
    ;(sup.ref('lamp') as unknown as { send: (event: object) => void }).send({ type })
    await quiet()
  }

  await send('overloaded')
  expect(sup.list()).toMatchObject([{ state: 'running', incarnation: 2 }])
  await send('switched.off')
  expect(sup.list()).toMatchObject([{ state: 'stopped' }])
  await sup.restartChild('lamp')
  await sup.stop()

  expect(log('exited', 'stopped')).toEqual([
    'exited lamp (it burst)',
    'exited lamp (normal)',
    'stopped lamp (shutdown)',
  ])
})

test('an inspector sees each life as a live actor whose states are those of the supervisor and its children', async () => {
  const { ports, child, quiet } = rig()
  const states = new Map<string, string[]>()
  const inspect = (event: InspectionEvent): void => {
    if (event.type !== '@xstate.snapshot') return
    const { value } = event.snapshot as { value?: string }
    const id = (event.actorRef as unknown as { id: string }).id
    states.set(id, [...(states.get(id) ?? []), value ?? ''])
  }
  const [a, t] = [child('a'), child('t', { restart: 'temporary' })]
  const sup = supervisor({ strategy: 'one-for-all', backoff: { minMs: 0, maxMs: 0 } }, [a.spec, t.spec], {
    ...ports,
    name: 'house',
    inspect,
  })

  await sup.start()
  await a.crash()
  await sup.stop()
  await quiet()

  const once = (id: string): string[] =>
    (states.get(id) ?? []).filter((state, at, all) => state !== all[at - 1])
  expect(once('house')).toEqual(['new', 'starting', 'running', 'cycling', 'running', 'stopping', 'ended'])
  expect(once('house/a')).toEqual([
    'waiting',
    'starting',
    'running',
    'restarting',
    'starting',
    'running',
    'stopping',
    'stopped',
  ])
  expect(once('house/t').slice(0, 4)).toEqual(['waiting', 'starting', 'running', 'stopping'])
})

test('an inspector that throws is asked no more, and nobody else notices', async () => {
  const { ports, child } = rig()
  const a = child('a')
  let asked = 0
  const sup = supervisor({}, [a.spec], {
    ...ports,
    inspect: () => {
      asked += 1
      throw new Error('I have seen enough')
    },
  })

  await sup.start()
  await sup.stop()

  expect([asked, a.starts(), a.told]).toEqual([1, 1, ['stop 1']])
})

test('the machines can be drawn: every state is reached, and none but the end of a supervisor is left by no way', () => {
  for (const machine of [childMachine, supervisorMachine]) {
    const { states } = createMachine(machine.config).root
    const targets = Object.values(states).flatMap((state) =>
      [...state.transitions.values()].flat().flatMap((each) => each.target?.map(({ key }) => key) ?? []),
    )
    const first = machine.root.initial.target[0]?.key
    expect(Object.keys(states).filter((key) => !targets.includes(key) && key !== first)).toEqual([])
    const dead = Object.values(states).filter((state) => state.transitions.size === 0)
    expect(dead.map(({ key }) => key)).toEqual(machine === supervisorMachine ? ['ended'] : [])
  }
})
