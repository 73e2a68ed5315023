import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { glass } from '../cli/glass.ts'
import { openFolder } from './tenuto.ts'

const bin = join(import.meta.dirname, '../../bin/tenuto.cjs')
const fails = `plan: v1
jobs:
  a-name-that-is-longer-than-the-terminal:
    run: |
      printf '\\033[2J\\033[31mboom\\n'
      exit 3
  b: { needs: [a-name-that-is-longer-than-the-terminal], run: 'true' }
`

/** `script` of util-linux gives a command a terminal; other systems have another one of that name, or none. */
const hasScript = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux')
if (!hasScript)
  process.stderr.write('the test with a real terminal is skipped: no `script` of util-linux here\n')

test.skipIf(!hasScript)(
  'on a terminal of 20 columns the table stays within them, and its end stands there',
  async () => {
    const { folder, home, file } = openFolder()
    const plan = file('p.plan.yaml', fails)
    const command = `stty cols 20 rows 10; exec '${process.execPath}' '${bin}' run '${plan}' --home '${home}' --no-input`
    const { CI: _, ...environment } = process.env
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      cwd: folder,
      env: { ...environment, TERM: 'xterm', LC_ALL: 'C.UTF-8', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let written = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text))
    const [code] = await once(child, 'close')

    // Wider than the terminal is, so that a line that is too long would be seen.
    const terminal = glass({ width: 1000, height: 1000 })
    terminal.write(written)
    const lines = terminal.lines()
    const table = lines.slice(0, lines.indexOf(''))
    expect(code).toBe(1)
    expect(table.slice(1)).toEqual(['✗ a-…inal  failed', '⊘ b        skipped'])
    for (const line of table) expect(line.length).toBeLessThanOrEqual(20)
    expect(lines).toContain('    boom')
    expect(lines.at(-2)).toMatch(/^p-\w{6} failed$/)
  },
)

test('a run whose stderr is closed under it goes on to its end', async () => {
  const { start, file, home } = openFolder()
  const plan = file(
    'p.plan.yaml',
    `plan: v1\njobs:\n  a: { run: cat gate }\n  b: { needs: [a], run: 'true' }\n`,
  )
  spawnSync('mkfifo', [join(home, '..', 'gate')])

  const run = start('run', plan)
  await run.heard('/a #1 running')
  run.child.stderr?.destroy()
  file('gate', 'go\n')
  const { code, out } = await run.said

  expect(code).toBe(0)
  expect(out).toMatch(/^p-\w{6} succeeded\n$/)
})
