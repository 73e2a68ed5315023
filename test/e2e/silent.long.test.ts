/**
 * A holder or a runner that was stopped (SIGSTOP): who waits for it hears who it is, and nobody waits for ever.
 */
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fileThere, pidsOf } from '../runner/home.ts'
import { openFolder } from './tenuto.ts'

const PLAN = 'plan: v1\nname: p\njobs:\n  a: { run: ": > up; while ! test -e go; do sleep 0.05; done" }\n'

test('a holder that does not answer is named, with what lets it go on; then it does', async () => {
  const { start, run } = openFolder()
  const holder = start('up', '--no-parent')
  await holder.heard('serving')
  const { pid } = holder.child

  holder.child.kill('SIGSTOP')
  const silent = await run('ls')
  holder.child.kill('SIGCONT')
  const answered = await run('ls')

  expect(silent.code).toBe(5)
  expect(silent.err).toContain(`is held by pid ${pid} (tenuto up, since 2`)
  expect(silent.err).toContain(`\`kill -CONT ${pid}\` lets it go on`)
  expect(answered.code).toBe(0)
  expect((await run('down')).code).toBe(0)
})

test('down ends a daemon whose runner was stopped, and what runs is adopted by the next', async () => {
  const { start, run, home, file, folder } = openFolder()
  file('p.yaml', PLAN)
  const holder = start('up', '--no-parent')
  await holder.heard('serving')
  await run('run', 'p.yaml', '--detach')
  await fileThere(join(folder, 'up'))
  const [runner] = pidsOf((line) => line.includes('runner/main') && line.includes(home))
  process.kill(runner as number, 'SIGSTOP')
  const goOn = (): void => void process.kill(runner as number, 'SIGCONT')
  onTestFinished(() => {
    try {
      goOn()
    } catch {
      // It has left by itself.
    }
  })

  const down = await run('down')
  const ended = await holder.said
  const status = await run('status')
  goOn()
  const resumed = start('resume')
  file('go', '')

  expect(down).toMatchObject({ code: 0, err: expect.stringContaining('1 attempt runs on') as string })
  expect(ended.code).toBe(0)
  expect([status.code, status.out.includes('nobody serves')]).toEqual([5, true])
  expect(await resumed.said).toMatchObject({ code: 0, out: expect.stringMatching(/ succeeded\n$/) as string })
})
