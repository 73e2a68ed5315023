// A supervisor without plans: a desk that breaks once, a lamp that stands on it, and a clerk for each letter.
import { reasonText, type Supervisor, supervisor, supervisorChild, systemPorts } from 'tenuto/supervisor'

/** One clerk for each letter, all made from one template. */
const clerks = () =>
  supervisor<string>(
    { strategy: 'dynamic' },
    [
      {
        id: 'clerk',
        restart: 'transient',
        start: ({ args, exit }) => {
          console.log(`a clerk answers ${args}`)
          const timer = setTimeout(exit, 20) // a normal end: it is not restarted
          return { stop: () => clearTimeout(timer) }
        },
      },
    ],
    systemPorts,
  )

const answered = Promise.withResolvers<void>()
const lampIsBack = Promise.withResolvers<void>()
const office = supervisor(
  // What is later in the list stands on what is earlier: it is stopped and started with it.
  { strategy: 'rest-for-one', backoff: { minMs: 10 } },
  [
    {
      id: 'desk',
      shutdown: 1_000,
      start: async ({ incarnation, exit }) => {
        if (incarnation === 1) void answered.promise.then(() => exit(new Error('a leg broke')))
        return { stop: async () => console.log('the desk is cleared') }
      },
    },
    { id: 'lamp', start: () => ({ stop: () => console.log('the lamp is out') }) },
    supervisorChild({ id: 'clerks', make: clerks }),
  ],
  {
    ...systemPorts,
    report: ({ type, child, incarnation, reason }) => {
      if (type === 'restarting' && reason) console.log(`${child} is restarted: ${reasonText(reason)}`)
      if (type === 'started' && child === 'lamp' && incarnation === 2) lampIsBack.resolve()
    },
  },
)

await office.start()
const atWork = office.ref('clerks') as Supervisor<string>
await atWork.startChild({ id: 'letter-1', args: 'the letter of Anna' })
await new Promise((resolve) => atWork.watch('letter-1', resolve))
answered.resolve()
await lampIsBack.promise
await office.stop()
console.log(office.tree().children.map(({ id, state, incarnation }) => `${id} ${state} ${incarnation}`))
