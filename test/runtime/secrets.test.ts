/** A canary: the value of a secret that jobs give away in every way they have, and that nobody is shown. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Handler } from '../../src/actors/calls.ts'
import { attemptDir, FILES } from '../../src/attempt.ts'
import type { Definition } from '../../src/definition.ts'
import { homePaths } from '../../src/home.ts'
import { createRuntime, definePlan, TenutoError } from '../../src/index.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { bootId } from '../../src/process.ts'
import { secretsFile } from '../../src/secrets.ts'
import { removeFolder } from '../support/folders.ts'

const CANARY = 'canary-7f3a"9c\\21e4'
const KEY = '-----BEGIN KEY-----\nMIIEcanary0001\nMIIEcanary0002\n-----END KEY-----'
/** Parts of them that stand in every form in which they are written here. */
const SPILT = ['canary-7f3a', 'MIIEcanary000', Buffer.from(CANARY).toString('base64').slice(0, 12)]

const opened = async (handlers: Readonly<Record<string, Handler>> = {}, at?: string) => {
  const folder = at ?? mkdtempSync(join(tmpdir(), 'tenuto-secrets-'))
  if (at === undefined) onTestFinished(() => removeFolder(folder))
  const home = join(folder, 'home')
  const runtime = await createRuntime({ home, handlers })
  onTestFinished(() => runtime.stop())
  const submit = (plan: Definition, secrets: Readonly<Record<string, string>>) =>
    runtime.submit(plan, { base: folder, environment: { PATH: process.env['PATH'] ?? '' }, secrets })
  const log = async (plan: string, job: string): Promise<string> =>
    Buffer.from((await runtime.catalog.log(plan, job, 1, 0, 1_000_000)).bytes).toString()
  return { folder, home, runtime, submit, log }
}

/** Every file of a home but those that a job writes itself, and the one that keeps the values. */
const storedIn = (home: string): readonly (readonly [string, string])[] => {
  const own = new Set(['log', 'outputs'])
  return readdirSync(home, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !own.has(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(homePaths(home).secrets))
    .map((path) => [path, readFileSync(path).toString('latin1')])
}

const expectNothingSpilt = (texts: Iterable<readonly [string, string]>): void => {
  for (const [where, text] of texts)
    for (const part of SPILT) expect([where, text.includes(part)]).toEqual([where, false])
}

const PRINTING = `
printf '%s\\n' "$CANARY"; printf '%s\\n' "$CANARY" >&2
printf 'canary-7f'; sleep 0.3; printf '3a"9c\\\\21e4 behind\\n'
printf '%s' "$CANARY" | base64
printf '%s\\n' "$KEY" | sed 's/^/  /'
printf 'token=%s\\n' "$CANARY" >> "$TENUTO_OUTPUT"
printf '{"list":["%s"]}\\n' "$(printf '%s' "$CANARY" | sed 's/[\\\\"]/\\\\&/g')" >> "$TENUTO_OUTPUT"
printf 'no output at all: %s\\n' "$CANARY" >> "$TENUTO_OUTPUT"
`

test('a secret that a job gives away in every way is shown and stored nowhere', async () => {
  const { home, runtime, submit, log } = await opened({
    spill: ({ secrets }) => {
      throw new Error(`refused ${secrets['CANARY']} for ${JSON.stringify(secrets)}`)
    },
    answer: ({ secrets }) => ({ token: secrets['CANARY'], [`${secrets['CANARY']}`]: [secrets['KEY']] }),
  })
  const plan = definePlan({
    name: 'canary',
    secrets: ['CANARY'],
    jobs: {
      print: { run: PRINTING, secrets: ['KEY'] },
      after: { needs: ['print'], run: 'cat "$TENUTO_NEEDS"; exit 3' },
      spill: { call: 'spill', optional: true },
      answer: { call: 'answer', secrets: ['KEY'] },
    },
  })

  const inspected: string[] = []
  runtime.inspect((told) => {
    const { event, snapshot } = told as { event?: object; snapshot?: { context?: object } }
    inspected.push(JSON.stringify([event, snapshot?.context]))
  })
  const { id, settled } = await submit(plan, { CANARY, KEY })
  const { jobs } = await settled()
  await runtime.command(id, null, { do: 'retry' }, { why: `try ${CANARY} again` })
  await (await runtime.plan(id)).settled()

  expect((await log(id, 'print')).split('\n').slice(0, 3)).toEqual(['***', '***', '*** behind'])
  expect(jobs['print']?.outputs).toEqual({ token: '***', list: ['***'] })
  expect(jobs['answer']?.outputs).toEqual({ token: '***', '***': ['***'] })
  expect(await log(id, 'after')).toContain('"token":"***"')
  const events = await runtime.catalog.events({ after: 0, limit: 10_000 })
  const [spilt] = await runtime.catalog.attempts(id, 'spill')
  expect(spilt?.error).toBe('refused *** for {"CANARY":"***"}')
  expect(JSON.stringify(events)).toContain('try *** again')
  expect(inspected.join('\n')).toContain('refused *** for')
  const shown: (readonly [string, string])[] = [
    ['events', JSON.stringify(events)],
    ['state', JSON.stringify(await runtime.state())],
    ['metrics', JSON.stringify(await runtime.metrics())],
    ['plan', JSON.stringify(await runtime.catalog.plan(id))],
    ['explain', JSON.stringify(await runtime.explain(id, null))],
    ['inspector', inspected.join('\n')],
    ['secrets', JSON.stringify(await runtime.catalog.secrets(id))],
  ]
  for (const job of ['print', 'after', 'spill', 'answer']) {
    shown.push([`log of ${job}`, await log(id, job)])
    shown.push([`attempts of ${job}`, JSON.stringify(await runtime.catalog.attempts(id, job))])
    shown.push([`explain ${job}`, JSON.stringify(await runtime.explain(id, job))])
  }
  expectNothingSpilt([...shown, ...storedIn(home)])
  await runtime.stop()
  expectNothingSpilt(storedIn(home))
})

test('what a failed attempt wrote as its outputs is stored nowhere, in whatever form', async () => {
  const { home, runtime, submit } = await opened()
  const writes = (word: string): string =>
    `printf '%s=%s\\nodd\\n' back "$(echo ${word})" >> "$TENUTO_OUTPUT"`
  const plan = definePlan({
    name: 'failing',
    jobs: { fails: { run: `${writes('lost""words')}; exit 3` }, does: { run: writes('kept""words') } },
  })

  const { id, settled } = await submit(plan, {})
  const { jobs } = await settled()

  expect(jobs).toMatchObject({ fails: { outputs: null }, does: { outputs: { back: 'keptwords' } } })
  const [failed] = await runtime.catalog.attempts(id, 'fails')
  expect(failed?.warnings).toEqual(['outputs: line 2 is neither key=value nor a JSON object'])
  await runtime.stop()
  const stored = storedIn(home).map(([, text]) => text)
  expect(stored.some((text) => text.includes('keptwords'))).toBe(true)
  expect(stored.some((text) => text.includes('lostwords'))).toBe(false)
})

test('a secret with a `=` in it, or that is JSON, is no output by itself', async () => {
  const { home, runtime, submit } = await opened()
  const TOKEN = `${Buffer.from('a-very-secret-key-16').toString('base64').slice(0, -1)}AA=`
  const KEYS = JSON.stringify({ private_key: 'MIIEcanary0001', id: 'canary-7f3a' })
  const plan = definePlan({
    name: 'cut',
    jobs: {
      a: {
        run: 'printf "%s\\n" "$TOKEN" "my token: $TOKEN" "$KEYS" "t=<$TOKEN>" >> "$TENUTO_OUTPUT"',
        secrets: ['TOKEN', 'KEYS'],
      },
    },
  })

  const { id, settled } = await submit(plan, { TOKEN, KEYS })
  const { jobs } = await settled()

  expect(jobs['a']?.outputs).toEqual({ t: '<***>' })
  const [attempt] = await runtime.catalog.attempts(id, 'a')
  expect(attempt?.warnings).toHaveLength(3)
  await runtime.stop()
  const stored = storedIn(home)
  expectNothingSpilt(stored)
  for (const [where, text] of stored)
    expect([where, text.includes(TOKEN.slice(0, 12))]).toEqual([where, false])
})

test('a secret reaches the jobs that name it, and no other; it is none of the stored variables', async () => {
  const { home, runtime, folder, log } = await opened()
  const plan = definePlan({
    name: 'reach',
    jobs: { has: { exec: ['/usr/bin/env'], secrets: ['HTTP_PROXY'] }, lacks: { exec: ['/usr/bin/env'] } },
  })
  const proxy = 'http://me:canary-7f3a@proxy'

  const handle = await runtime.submit(plan, {
    base: folder,
    environment: { PATH: process.env['PATH'] ?? '', HTTP_PROXY: proxy },
    secrets: { HTTP_PROXY: proxy },
  })
  await handle.settled()

  expect(await log(handle.id, 'has')).toContain('HTTP_PROXY=***\n')
  expect(await log(handle.id, 'lacks')).not.toContain('HTTP_PROXY')
  expectNothingSpilt(storedIn(home))
})

test('a plan is refused before anything is made when a value is missing, too short, or stands in the plan', async () => {
  const { home, submit, runtime } = await opened()
  const of = (more: object) =>
    definePlan({ name: 'p', jobs: { a: { run: 'true', secrets: ['CANARY'], ...more } } })

  await expect(submit(of({}), {})).rejects.toMatchObject({
    code: 'SECRET_MISSING',
    exit: 3,
    message: 'no value was given for the secret CANARY, which jobs.a.secrets names',
  })
  await expect(submit(of({}), { CANARY: 'short' })).rejects.toMatchObject({
    code: 'SECRET_UNUSABLE',
    message:
      'the value of the secret CANARY, which jobs.a.secrets names, has 5 characters, and fewer than 6 cannot be masked',
  })
  await expect(submit(of({ env: { X: `a ${CANARY}` } }), { CANARY })).rejects.toMatchObject({
    code: 'SECRET_IN_CLEAR',
    message: 'the value of the secret CANARY stands in jobs.a.env.X, which is stored in clear',
  })
  await expect(submit(of({}), { CANARY, OTHER: 'not named' })).rejects.toMatchObject({
    code: 'USAGE',
    message: 'secrets has "OTHER", which the plan names nowhere',
  })
  await expect(submit(of({}), { CANARY: 12345678 } as never)).rejects.toMatchObject({
    message: 'CANARY of secrets must be a text',
  })
  expect(await runtime.catalog.plans()).toEqual([])
  expect(readdirSync(home)).not.toContain('secrets')
})

test('of a plan that the store did not take, no value is left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-secrets-'))
  onTestFinished(() => removeFolder(folder))
  const file = join(folder, 'journal.db')
  const boot = { bootId: 'boot', pid: 1, build: 'test', at: 0 }
  const journal = async () => {
    const sound = await sqliteJournal({ file, boot, durability: 'normal' })
    const commit = async () => {
      throw new TenutoError('STORE_FULL', { path: file, why: 'the test says so' })
    }
    return { ...sound, commit }
  }
  const runtime = await createRuntime({ home: folder, ports: { journal } })
  onTestFinished(() => runtime.stop())
  const plan = definePlan({ name: 'p', jobs: { a: { run: 'true', secrets: ['CANARY'] } } })

  await expect(runtime.submit(plan, { secrets: { CANARY } })).rejects.toMatchObject({ code: 'STORE_FULL' })

  expect(readdirSync(homePaths(folder).secrets)).toEqual([])
})

test('of a plan whose commit was not seen to end the values are kept, for it may be there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-secrets-'))
  onTestFinished(() => removeFolder(folder))
  const file = join(folder, 'journal.db')
  const boot = { bootId: bootId(), pid: 1, build: 'test', at: 0 }
  const journal = async () => {
    const sound = await sqliteJournal({ file, boot, durability: 'normal' })
    const commit: typeof sound.commit = async (batch) => {
      await sound.commit(batch)
      throw new TenutoError('STORE_BROKEN', { path: file, why: 'the test says so' })
    }
    return { ...sound, commit }
  }
  const first = await createRuntime({ home: folder, ports: { journal } })
  first.failed.catch(() => {})
  const plan = definePlan({
    name: 'p',
    jobs: { a: { run: 'test "${#CANARY}" = 11', secrets: ['CANARY'] } },
  })
  await expect(first.submit(plan, { key: 'k', secrets: { CANARY: 'canary-7f3a' } })).rejects.toMatchObject({
    code: 'STORE_BROKEN',
  })
  await first.stop()

  const second = await createRuntime({ home: folder })
  onTestFinished(() => second.stop())
  const again = await second.submit(plan, { key: 'k' })

  expect(again.replayed).toBe(true)
  expect((await again.settled()).state).toBe('succeeded')
})

test('values are kept for their user alone, over a restart, until the plan is kept no longer', async () => {
  const first = await opened()
  const plan = definePlan({
    name: 'p',
    jobs: { a: { run: 'test -e go; printf "%s\\n" "$CANARY"', secrets: ['CANARY'] } },
  })
  const { id, settled } = await first.submit(plan, { CANARY })
  expect((await settled()).state).toBe('failed')
  const file = secretsFile(first.home, id)
  await first.runtime.stop()

  const { runtime, log, folder } = await opened({}, first.folder)
  writeFileSync(join(folder, 'go'), '')
  await runtime.command(id, null, { do: 'retry' })
  const { state } = await (await runtime.plan(id)).settled()

  expect(state).toBe('succeeded')
  expect(Buffer.from((await runtime.catalog.log(id, 'a', 2, 0, 1000)).bytes).toString()).toBe('***\n')
  expect(await log(id, 'a')).toBe('')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(statSync(homePaths(first.home).secrets).mode & 0o777).toBe(0o700)
  await runtime.gc({ olderThanMs: 0 })
  expect(readdirSync(homePaths(first.home).secrets)).toEqual([])
})

test('where the values are gone no job starts, no log is shown, and no retry is taken until they are given again', async () => {
  const { home, runtime, submit } = await opened()
  const plan = definePlan({
    name: 'p',
    jobs: {
      gate: { approve: { prompt: 'ok?' } },
      a: { needs: ['gate'], run: 'printf "got %s\\n" "$CANARY"', secrets: ['CANARY'] },
    },
  })
  const { id, settled } = await submit(plan, { CANARY })
  rmSync(secretsFile(home, id))

  await runtime.command(id, 'gate', { do: 'approve' })
  const ended = settled()
  for await (const event of runtime.events({ plan: id })) {
    if (event.job === 'a' && event.to === 'backoff')
      await runtime.command(id, 'a', { do: 'now' }).catch(() => {})
    if (event.job === undefined && event.to === 'failed') break
  }
  expect((await ended).jobs['a']).toMatchObject({ state: 'failed', reason: 'never-started' })
  expect((await runtime.catalog.attempts(id, 'a')).at(-1)).toMatchObject({
    outcome: 'never-started',
    error: expect.stringContaining(`the home has no value of the secrets CANARY of ${id} any more`),
    error_code: 'SECRETS_GONE',
  })
  expect((await runtime.explain(id, 'a')).chain[0]).toMatchObject({
    command: `tenuto secret set ${id} CANARY`,
  })
  const gone = { code: 'SECRETS_GONE', exit: 7 }
  await expect(runtime.command(id, null, { do: 'retry', failed: true })).rejects.toMatchObject(gone)
  expect(await runtime.catalog.secrets(id)).toEqual([
    { name: 'CANARY', place: 'jobs.a.secrets', kept: false },
  ])
  await expect(runtime.giveSecrets(id, { OTHER: CANARY })).rejects.toMatchObject({ code: 'USAGE' })

  await runtime.giveSecrets(id, { CANARY })
  await runtime.command(id, null, { do: 'retry', failed: true })

  expect((await (await runtime.plan(id)).settled()).state).toBe('succeeded')
  const { attempt } = await runtime.catalog.job(id, 'a')
  expect(Buffer.from((await runtime.catalog.log(id, 'a', attempt, 0, 1000)).bytes).toString()).toBe(
    'got ***\n',
  )
})

test('an attempt that lives is adopted also where its values are gone, and nothing that it wrote is stored', async () => {
  const first = await opened()
  const plan = definePlan({
    name: 'p',
    jobs: {
      a: {
        run: 'while ! test -e go; do sleep 0.02; done; echo "t=$CANARY" >> "$TENUTO_OUTPUT"; echo done >> ledger',
        secrets: ['CANARY'],
      },
    },
  })
  const { id } = await first.submit(plan, { CANARY: 'canary-7f3a' })
  const claim = join(attemptDir(first.home, id, 'a', 1), FILES.claim)
  await expect.poll(() => existsSync(claim)).toBe(true)
  await first.runtime.stop()
  rmSync(secretsFile(first.home, id))

  const { runtime, folder, home } = await opened({}, first.folder)
  writeFileSync(join(folder, 'go'), '')
  const { state, jobs } = await (await runtime.plan(id)).settled()

  expect(state).toBe('succeeded')
  expect(jobs['a']).toMatchObject({ attempt: 1, outputs: { '***': '***' } })
  expect(readFileSync(join(folder, 'ledger'), 'utf8')).toBe('done\n')
  expectNothingSpilt(storedIn(home))
})

test('a value that takes the place of another reaches the next attempts, and both stay masked', async () => {
  const { runtime, submit, log } = await opened()
  const plan = definePlan({
    name: 'p',
    jobs: { a: { run: 'printf "with %s\\n" "$CANARY"; false', secrets: ['CANARY'] } },
  })
  const { id, settled } = await submit(plan, { CANARY: 'the-former-one' })
  await settled()

  await runtime.giveSecrets(id, { CANARY })
  await runtime.command(id, null, { do: 'retry' })
  await (await runtime.plan(id)).settled()

  expect(await log(id, 'a')).toBe('with ***\n')
  expect(Buffer.from((await runtime.catalog.log(id, 'a', 2, 0, 1000)).bytes).toString()).toBe('with ***\n')
})

test.each(['removed', 'damaged'])(
  'values that are given after the file with others was %s show nothing of the attempts before',
  async (how) => {
    const { folder, home, runtime, submit, log } = await opened()
    const plan = definePlan({
      name: 'p',
      secrets: ['CANARY'],
      jobs: {
        a: {
          run: 'echo "had $CANARY"; while ! test -e go; do sleep 0.02; done; echo "t=$CANARY" >> "$TENUTO_OUTPUT"',
        },
        early: { run: 'echo "early $CANARY"' },
        b: { needs: ['a'], run: 'echo "b has $CANARY"' },
      },
    })
    const { id, settled } = await submit(plan, { CANARY: 'canary-7f3a' })
    await expect.poll(() => log(id, 'a')).toContain('had ***')
    await expect.poll(async () => (await runtime.catalog.job(id, 'early')).state).toBe('succeeded')

    if (how === 'removed') rmSync(secretsFile(home, id))
    else writeFileSync(secretsFile(home, id), '{"v":1,"values"')
    await expect(log(id, 'a')).rejects.toMatchObject({ code: 'SECRETS_GONE', exit: 7 })
    await runtime.giveSecrets(id, { CANARY: 'another-value' })
    await runtime.giveSecrets(id, { CANARY: 'yet-another-value' })

    const withheld = { code: 'LOG_WITHHELD', exit: 7, http: 409 }
    await expect(log(id, 'a')).rejects.toMatchObject(withheld)
    await expect(log(id, 'early')).rejects.toMatchObject(withheld)
    writeFileSync(join(folder, 'go'), '')
    const { state, jobs } = await settled()
    expect(state).toBe('succeeded')
    expect(jobs['a']).toMatchObject({ attempt: 1, outputs: { '***': '***' } })
    expect(await log(id, 'b')).toBe('b has ***\n')
    expectNothingSpilt(storedIn(home))
  },
)
