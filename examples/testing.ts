// A release and its whole course, an hour long, in a moment: no process is started, and time is moved by hand.
import { createRuntime, definePlan } from 'tenuto'
import { memoryDisk, memoryJournal, scriptedRunner, virtualClock } from 'tenuto/testing'

const release = definePlan({
  name: 'release',
  jobs: {
    build: { run: 'make', retry: { max: 2, delay: '10s' } },
    test: { run: 'make test', needs: ['build'], timeout: '30m' },
    ship: { run: './ship', needs: ['test'] },
    notes: { run: 'make notes', needs: ['build'] },
  },
})

const clock = virtualClock()
const runner = scriptedRunner(clock, {
  build: [
    { code: 2, afterMs: 5_000 },
    { afterMs: 60_000, outputs: { artifact: 'build.tar' } },
  ],
  test: 'runs', // until it is ended below, or by its timeout
  // ship and notes succeed at once: nothing is said of them
})
const runtime = await createRuntime({
  home: '/nowhere', // the journal is in memory, and nothing is written
  ports: { clock, journal: () => memoryJournal(memoryDisk()), attempts: runner.attempts },
})

const plan = await runtime.submit(release)
await clock.advance(20 * 60_000)
console.log(`after 20 minutes: ${runner.running().join(', ')} runs`)

await clock.advance(20 * 60_000)
console.log(runner.stopped)

await runtime.command(plan.id, 'test', { do: 'retry', downstream: true })
await clock.advance(60_000)
runner.end('test')

const { state, jobs } = await plan.settled()
const ends = Object.values(jobs).map((job) => `${job.name} ${job.state}`)
console.log(`${state}: ${ends.join(', ')}`)
console.log(runner.started.join(' '))
await runtime.stop()
