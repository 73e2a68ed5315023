/** A canary through the built program: a daemon that is killed, a browser's stream, a backup, and every byte that is left on the disk. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { HolderRecord } from '../../src/holder.ts'
import { homePaths } from '../../src/home.ts'
import { codeOf } from '../../src/thrown.ts'
import { openFolder } from './tenuto.ts'

const CANARY = 'canary-7f3a"9c/21e4'
const PLAN = `plan: v1
name: p
secrets: [CANARY]
jobs:
  print:
    run: |
      printf '%s\\n' "$CANARY"; printf '%s\\n' "$CANARY" >&2
      printf '%.9s' "$CANARY"
      while ! test -e go; do sleep 0.05; done
      printf '%s behind\\n' "\${CANARY#?????????}"
      printf 'token=%s\\n' "$CANARY" >> "$TENUTO_OUTPUT"
      printf 'neither: %s\\n' "$CANARY" >> "$TENUTO_OUTPUT"
  after: { needs: [print], run: "cat $TENUTO_NEEDS; printf '%s' \\"$CANARY\\"; test -e mended" }
`
const PARTS = ['canary-7f', Buffer.from(CANARY).toString('base64').slice(0, 12)]
const spilt = (text: string): boolean => PARTS.some((part) => text.includes(part))

/** Every file below the folder that holds the canary, but those that a job writes itself and the one that keeps it. */
const spiltIn = (folder: string, home: string): readonly string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !['log', 'outputs'].includes(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(homePaths(home).secrets))
    .filter((path) => spilt(textOf(path)))

/** What has gone since it was listed, as what a runner that leaves takes with it, holds nothing. */
const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    return ''
  }
}

const getText = (socketPath: string, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ socketPath, path }, (answer) => {
      let text = ''
      answer.on('data', (part: Buffer) => {
        text += part.toString()
      })
      answer.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })

test('a canary is in no answer of any command or route, and in no file but the one that keeps it', async () => {
  const { file, folder, home, start, run, unsound } = openFolder()
  file('p.plan.yaml', PLAN)
  const up = start('up')
  await up.heard('serving')
  // The daemon has it from nobody but whoever submits.
  vi.stubEnv('CANARY', CANARY)
  onTestFinished(() => void vi.unstubAllEnvs())
  const submitted = await run('run', 'p.plan.yaml', '--detach')
  const id = submitted.out.trim()
  vi.unstubAllEnvs()
  const followed = start('logs', `${id}/print`, '-f')
  await followed.heard('***')

  // Whoever follows waits for the next one as long as the parent lives.
  const holder = (): HolderRecord => JSON.parse(readFileSync(homePaths(home).daemon, 'utf8')) as HolderRecord
  const { pid } = holder()
  process.kill(pid, 'SIGKILL')
  await up.heard('started again')
  await expect.poll(() => holder().pid !== pid && holder().sock !== null).toBe(true)
  writeFileSync(join(folder, 'go'), '')
  const ended = await run('resume', id)
  const failed = await run('show', `${id}/after`)
  writeFileSync(join(folder, 'mended'), '')
  const retried = await run('retry', id, '--failed', '--reason', `because of ${CANARY}`)
  const again = await run('resume', id)

  const sock = holder().sock ?? ''
  const routes = [
    '',
    '?jobs=true',
    '/jobs/print',
    '/jobs/after',
    '/explain',
    '/notes',
    '/definition',
    '/secrets',
  ]
  const answers = await Promise.all(
    [
      ...routes.map((path) => `/api/v1/plans/${id}${path}`),
      `/api/v1/plans/${id}/jobs/print/attempts/1/log`,
      `/api/v1/plans/${id}/jobs/print/attempts/1/log/stream`,
      '/api/v1/state',
      '/api/v1/tree',
      '/api/v1/analytics',
      '/metrics',
    ].map((path) => getText(sock, path)),
  )
  const said = [
    submitted,
    ended,
    failed,
    retried,
    again,
    await followed.said,
    await run('logs', id),
    await run('show', id, '-v'),
    await run('show', `${id}/print`, '--json'),
    await run('explain', `${id}/after`),
    await run('events', id, '--json'),
    await run('secret', 'ls', id),
    await run('ls', '--json'),
    await run('status', '--json'),
    await run('doctor'),
    await run('backup', join(folder, 'copy.db')),
  ]

  expect([ended.code, retried.code, again.code]).toEqual([1, 0, 0])
  expect((await followed.said).out).toBe('***\n***\n*** behind\n')
  for (const each of [...said.flatMap(({ out, err }) => [out, err]), ...answers])
    expect(spilt(each) ? each : '').toBe('')
  expect(said.at(-1)?.err).toContain('the values of secrets of 1 plan are not in it')
  expect(await unsound()).toEqual([])
  // The write-ahead log is there while somebody holds the home.
  expect(existsSync(`${homePaths(home).journal}-wal`)).toBe(true)
  expect(spiltIn(folder, home)).toEqual([])
  await run('down')
  expect(spiltIn(folder, home)).toEqual([])
  expect((await run('logs', `${id}/print`)).out).toBe('***\n***\n*** behind\n')
  await run('gc', '--older-than', '1ms')
  expect(readdirSync(homePaths(home).secrets)).toEqual([])
})

test('a name without a value is refused before a home is made; a value that is gone is given again', async () => {
  const { file, home, run, unsound } = openFolder()
  file(
    'p.plan.yaml',
    'plan: v1\nname: p\njobs:\n  a: { run: \'printf "%s" "$CANARY"; false\', secrets: [CANARY] }\n',
  )

  const valid = await run('validate', 'p.plan.yaml')
  const refused = await run('run', 'p.plan.yaml', '--json')
  expect(valid.code).toBe(0)
  expect(refused.code).toBe(3)
  expect(JSON.parse(refused.err)).toMatchObject({
    error: {
      code: 'SECRET_MISSING',
      message: 'no value was given for the secret CANARY, which jobs.a.secrets of p.plan.yaml names',
    },
  })
  expect(existsSync(home)).toBe(false)

  vi.stubEnv('CANARY', CANARY)
  onTestFinished(() => void vi.unstubAllEnvs())
  const ran = await run('run', 'p.plan.yaml')
  vi.unstubAllEnvs()
  rmSync(homePaths(home).secrets, { recursive: true })
  const listed = await run('secret', 'ls', 'p')
  const hidden = await run('logs', 'p/a')
  const early = await run('retry', 'p/a')
  const bare = await run('secret', 'set', 'p')
  vi.stubEnv('CANARY', CANARY)
  const given = await run('secret', 'set', 'p')
  vi.unstubAllEnvs()
  const late = await run('retry', 'p/a')

  expect(ran.code).toBe(1)
  expect(ran.err).not.toContain('canary')
  expect(listed.out).toBe('CANARY  gone  jobs.a.secrets\n')
  expect(listed.err).toContain('set the variables, then: tenuto secret set p-')
  expect([hidden.code, early.code, bare.code, given.code, late.code]).toEqual([7, 7, 3, 0, 0])
  expect(hidden.err).toContain('tenuto secret set p-')
  expect(given.out).toBe('CANARY  kept  jobs.a.secrets\n')
  // What is given may be another value than the one that was lost.
  expect(await run('logs', 'p/a', '--attempt', '1')).toMatchObject({
    out: '',
    err: expect.stringContaining('is older than the loss of secrets'),
  })
  expect((await run('events', 'p')).out).toMatch(/ {2}secrets\.given {2}failed {2}CANARY {2}by \S+\n/)
  expect(await unsound()).toEqual([])
})

test('of a plan that names no secrets nothing is said of attempts that get them', async () => {
  const { file, run } = openFolder()
  file('p.plan.yaml', "plan: v1\nname: p\njobs:\n  a: { run: 'true' }\n")
  await run('run', 'p.plan.yaml')

  const given = await run('secret', 'set', 'p')

  expect(given).toMatchObject({ code: 0, out: expect.stringMatching(/^p-\S+ names no secrets\n$/), err: '' })
})
