import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
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

/** A shell with job control on a terminal of its own, that runs a plan with a gate as `commands` say. */
const shell = (
  commands: (run: string, tenuto: string, home: string) => string,
  gate = 'approve: { prompt: Ship it? }',
) => {
  const { folder, home, file } = openFolder()
  const plan = file('p.plan.yaml', `plan: v1\njobs:\n  gate: { ${gate} }\n`)
  const { CI: _, ...environment } = process.env
  const tenuto = `'${process.execPath}' '${bin}'`
  file('commands', commands(`${tenuto} run '${plan}' --home '${home}'`, tenuto, home))
  const child = spawn('script', ['-qec', 'bash -m commands', '/dev/null'], {
    cwd: folder,
    env: { ...environment, TERM: 'dumb', LC_ALL: 'C.UTF-8' },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.exitCode !== null) return
    // What is stopped hears nothing until it goes on: the end of its terminal does both.
    child.kill('SIGKILL')
    await once(child, 'close')
  })
  let written = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text))
  return {
    type: (text: string) => child.stdin.write(text),
    /** All that was written, once this was, so many times. */
    shows: async (text: string, times = 1) => {
      await expect.poll(() => written.split(text).length - 1).toBeGreaterThanOrEqual(times)
      return written
    },
  }
}
const QUESTION = 'Ship it?  [a]pprove, [r]eject or [l]eave it? '

/** Broken on purpose once, and seen: a question that looks at no foreground; one that looks only when it begins. */
test.skipIf(!hasScript)('a run in the background of a terminal asks nobody, and ends with 10', async () => {
  const { shows } = shell((run) => `${run} &\nwait $!\necho code=$?\n`)

  const written = await shows('code=')

  expect(written).toContain('code=10')
  expect(written).toContain('gate waits for a person: Ship it?')
  expect(written).not.toContain(QUESTION)
})

test.skipIf(!hasScript)(
  'a run that is stopped while it asks, and put into the background, ends with 10',
  async () => {
    const { shows, type } = shell((run) => `${run}\nbg %1\nwait %1\necho code=$?\n`)

    await shows(QUESTION)
    type('\x1a')

    expect(await shows('code=')).toContain('code=10')
  },
)

test.skipIf(!hasScript)(
  'a run that is stopped while it asks, and goes on in the foreground, asks again',
  async () => {
    const { shows, type } = shell((run) => `${run}\nfg %1\necho code=$?\n`)

    await shows(QUESTION)
    type('\x1a')
    await shows(QUESTION, 2)
    type('a\n')

    expect(await shows('code=')).toContain('code=0')
  },
)

test.skipIf(!hasScript)(
  'a question stands within the terminal; what is no answer is told which there are, and it is asked again',
  async () => {
    const words = 'Ship the whole of it to everybody, '.repeat(4).trim()
    const { shows, type } = shell(
      (run) => `stty cols 40 -echo\n${run} --quiet\necho code=$?\n`,
      `approve: { prompt: "${words} now?" }`,
    )

    await shows('[l]eave it? ')
    type('y\n')
    await shows('[l]eave it? ', 2)
    type('\n')
    await shows('[l]eave it? ', 3)
    type('A\n')
    const lines = (await shows('code=')).split('\r\n')

    const told = lines.join(' ').replaceAll(/ +/g, ' ')
    expect(told).toContain(`gate: ${words} now? [a]pprove, [r]eject or [l]eave it? "y" is no answer to that;`)
    expect(told).toContain(
      'nothing was answered; it is one of approve, reject, leave, or the first letter of it',
    )
    expect(told).toContain('code=0')
    // What follows a question was written where the answer stood.
    for (const line of lines.flatMap((each) => each.split('it? ')))
      expect(line.length).toBeLessThanOrEqual(40)
  },
)

test.skipIf(!hasScript)(
  'a run that waits in the background for an answer with a timeout asks when it is brought to the foreground',
  async () => {
    const { shows, type } = shell(
      (run) => `${run} &\nread -r _\nfg %1\necho code=$?\n`,
      'approve: { prompt: Ship it?, timeout: 1h }',
    )

    await shows('waits for an answer')
    type('\n')
    await shows(QUESTION)
    type('a\n')

    expect(await shows('code=')).toContain('code=0')
  },
)

test.skipIf(!hasScript)(
  'Ctrl-C at a question lets go of a plan of the daemon, which still asks',
  async () => {
    const { shows, type } = shell(
      (run, tenuto, home) =>
        `${tenuto} up --detach --port 0 --home '${home}'\n${run}\necho code=$?\n${tenuto} down --home '${home}'\necho over\n`,
    )

    await shows(QUESTION)
    type('\x03')

    const written = await shows('over')
    expect(written).toContain('code=10')
    expect(written).toMatch(/^p-\w{6} running\r$/m)
    expect(written).toMatch(/p-\w{6} goes on\.\s+follow:/)
  },
)
