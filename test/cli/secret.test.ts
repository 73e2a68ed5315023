import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { secret } from '../../src/cli/secret.ts'
import { createRuntime, definePlan } from '../../src/index.ts'

test.each([
  [['KEY_A'], /^no value was given for the secret KEY_A, which \S+ of \S+ names$/],
  [['KEY_A', 'KEY_B'], /^no value .* KEY_A, .* names; nor for KEY_B$/],
  [['KEY_A', 'KEY_B', 'KEY_C'], /^no value .* KEY_A, .* names; nor for KEY_B, KEY_C$/],
])('values that are to be given and are not there are named, one or many: %j', async (names, words) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-secret-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  const home = join(folder, 'home')
  const runtime = await createRuntime({ home, starts: false })
  const plan = definePlan({ name: 'p', jobs: { a: { run: 'true', secrets: names } } })
  const values = Object.fromEntries(names.map((name) => [name, `the value of ${name}`]))
  const { id } = await runtime.submit(plan, { secrets: values })
  await runtime.stop()
  for (const name of names) vi.stubEnv(name, '')
  onTestFinished(() => void vi.unstubAllEnvs())

  const given = secret('set', id, [], { home })

  await expect(given).rejects.toMatchObject({
    code: 'SECRET_MISSING',
    message: expect.stringMatching(words) as string,
  })
})
