/**
 * How many attempts a daemon lets run at once. Broken on purpose once, and seen: a daemon without a limit where nobody names one.
 */
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { expect, onTestFinished, test } from 'vitest'
import { openFolder } from './tenuto.ts'

type Status = Readonly<{ sections: Readonly<{ slots: Readonly<{ data: object }> }> }>

const gated = (jobs: number): string =>
  `plan: v1\nname: wide\nmaxParallel: 100\njobs:\n${Array.from(
    { length: jobs },
    (_, at) => `  j${at}: { run: ': > begun-${at}; while [ ! -e open ]; do sleep 0.05; done' }\n`,
  ).join('')}`

for (const [named, flags, limit] of [
  ['that nobody gave a number has two slots for each core, four at least', [], null],
  ['that was given a number has so many', ['--max-parallel', '3'], 3],
] as const)
  test(`a daemon ${named}; what waits for one is told so`, async () => {
    const { run, file, folder, unsound } = openFolder()
    onTestFinished(async () => {
      await run('down')
    })
    const slots = limit ?? Math.max(4, 2 * availableParallelism())
    file('wide.yaml', gated(slots + 2))

    // The parent passes on what it was told, and what it was not.
    expect((await run('up', '--detach', ...flags)).code).toBe(0)
    const plan = (await run('run', 'wide.yaml', '--detach')).out.trim()
    const begun = (): number => readdirSync(folder).filter((name) => name.startsWith('begun-')).length
    await expect.poll(begun, { interval: 20 }).toBe(slots)

    const { sections } = JSON.parse((await run('status', '--json')).out) as Status
    expect(sections.slots.data).toMatchObject({ limit: slots, held: slots, queued: 2 })
    const why = (await run('explain', `${plan}/j${slots + 1}`)).out
    expect(why).toContain(`all ${slots} slots of the daemon are taken, by ${plan} (${slots})`)

    file('open', '')
    expect((await run('resume', plan)).code).toBe(0)
    expect(begun()).toBe(slots + 2)
    expect(await unsound()).toEqual([])
  })
