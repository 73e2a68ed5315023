/** `watch` and `ls` as a person types them. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const bin = join(import.meta.dirname, '../../bin/tenuto.cjs')
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')

test('watch without a terminal says what to use instead', async () => {
  const { run } = openFolder()

  const { code, err } = await run('watch', 'p')

  expect(code).toBe(2)
  expect(err).toContain('tenuto events p -f')
})

test.skipIf(!hasScript)('watch draws what changes, and q leaves while the plan goes on', async () => {
  const { folder, home, file, start, run } = openFolder()
  const plan = file('p.plan.yaml', `plan: v1\njobs:\n  a: { run: cat gate }\n`)
  spawnSync('mkfifo', [join(folder, 'gate')])
  const running = start('run', plan)
  await running.heard('/a #1 running')
  const { CI: _, ...environment } = process.env
  const look = (...args: string[]) => {
    const command = `stty cols 60 rows 12; exec '${process.execPath}' '${bin}' watch ${args.join(' ')} --home '${home}'`
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: folder,
      env: { ...environment, TERM: 'xterm', LC_ALL: 'C.UTF-8', NO_COLOR: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill())
    return child
  }
  const seen = async (child: ReturnType<typeof look>, what: RegExp) => {
    let written = ''
    for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
      written += String(chunk)
      if (what.test(written)) return
    }
    throw new Error(`it ended before it showed ${what}: ${written}`)
  }

  const home1 = look()
  await seen(home1, /1 not ended .* q leaves[\s\S]*p-\w{6}\s+running/)
  home1.stdin.write('q')
  home1.stdout.resume()
  expect(await once(home1, 'close')).toEqual([0, null])

  const one = look('p')
  await seen(one, /● a\s+running/)
  file('gate', 'go\n')
  await seen(one, /✓ a\s+succeeded/)
  one.stdout.resume()
  expect(await once(one, 'close')).toEqual([0, null])
  expect((await running.said).code).toBe(0)

  const list = async (...args: string[]) => JSON.parse((await run('ls', ...args, '--json')).out) as unknown[]
  expect(await list('--state', 'succeeded')).toHaveLength(1)
  expect(await list('--state', 'failed,paused')).toEqual([])
  expect(await list('--name', 'q')).toEqual([])
  expect(await list('jobs', '--state', 'succeeded', '--name', 'p')).toMatchObject([{ name: 'a' }])
  for (const wrong of [
    ['--state', 'done'],
    ['--limit', '0'],
    ['jobs', '--state', 'paused'],
  ]) {
    const { code, err } = await run('ls', ...wrong)
    expect([code, err]).toEqual([2, expect.stringMatching(/one or more of|whole number of 1 to 200/)])
  }
})
