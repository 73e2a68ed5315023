import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { spelled } from '../../src/cli/screen.ts'

const module = join(import.meta.dirname, '../../src/cli/screen.ts')

/** Runs a script with the screen of a process of its own, whose streams are pipes; answers what it wrote. */
const speaking = async (
  script: string,
  act: (child: ReturnType<typeof spawn>) => void = () => {},
  env: Record<string, string> = {},
) => {
  const source = `import { screen, complain } from ${JSON.stringify(module)}; ${script}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [out, err] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()))
  act(child)
  const [code] = await once(child, 'close')
  return { code: code as number | null, out, err }
}

test('stdout that is no terminal has no edge; a table that is none is taken for one of 80 by 24', async () => {
  const { out } = await speaking(
    'const on = screen({}); on.answer(JSON.stringify([on.width === Infinity, on.table.width, on.table.height, on.live]))',
  )

  expect(JSON.parse(out)).toEqual([true, 80, 24, false])
})

test('answers go to stdout and talk to stderr; -q leaves the answer; --no-color wins over FORCE_COLOR', async () => {
  const script = (flags: string) =>
    `const on = screen(${flags}); on.answer(on.paint.red('yes')); on.talk(on.table.paint.red('well'))`

  const env = { FORCE_COLOR: '1' }
  expect(await speaking(script('{}'), undefined, env)).toMatchObject({
    out: '\u001b[31myes\u001b[39m\n',
    err: '\u001b[31mwell\u001b[39m\n',
  })
  expect(await speaking(script('{ quiet: true, color: false }'), undefined, env)).toMatchObject({
    out: 'yes\n',
    err: '',
  })
})

test('with --json what is said beside the answer is JSON too, a line each', async () => {
  const { out, err } = await speaking(
    `const on = screen({ json: true }); on.tell('{"a":1}'); on.talk('two\\nlines \\u202e'); on.talk('more')`,
    undefined,
    { FORCE_COLOR: '1' },
  )

  expect(out).toBe('{"a":1}\n')
  expect(
    err
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([{ note: 'two\nlines \u202e' }, { note: 'more' }])
  expect(err).not.toContain('\u202e')
})

test('a reader that has gone away, or never reads in time, is no error and loses nothing it still reads', async () => {
  const gone = await speaking(
    'const on = screen({}); process.once("SIGUSR2", () => { for (let n = 0; n < 100; n++) { on.answer("x".repeat(1000)); on.table.write("y") } process.exit(7) }); setInterval(() => {}, 1000); on.talk("ready")',
    (child) => {
      child.stderr?.once('data', () => {
        child.stdout?.destroy()
        child.stderr?.destroy()
        child.kill('SIGUSR2')
      })
    },
  )
  expect(gone.code).toBe(7)

  const slow = await speaking(
    'const on = screen({}); process.stdout; for (let n = 0; n < 1000; n++) on.answer("x".repeat(1000))',
  )
  expect(slow.out.length).toBe(1_001_000)
})

test('what an error cites cannot steer the terminal, and what is JSON stays the same JSON', async () => {
  const value = { message: 'a\u009b31m\u202e"\u007f\\' }
  const { err } = await speaking(
    `complain('job \\u001b]0;x\\u0007: two\\n  lines'); complain(JSON.stringify(${JSON.stringify(value)}))`,
  )

  const [first, second, third] = err.split('\n')
  expect([first, second]).toEqual(['job \\u001b]0;x\\u0007: two', '  lines'])
  expect(JSON.parse(third ?? '')).toEqual(value)
  expect(spelled('日本\tx')).toBe('日本\tx')
})
