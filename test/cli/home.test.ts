import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { command } from '../../src/cli/home.ts'
import { targetOf } from '../../src/cli/refs.ts'
import type { Command } from '../../src/command.ts'
import { TenutoError } from '../../src/errors.ts'
import { createRuntime, definePlan } from '../../src/index.ts'

const newHome = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'tenuto-cli-home-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return join(folder, 'home')
}

test('an attempt is no job: what acts on a plan or a job refuses it, says what to write, and changes nothing', async () => {
  const home = newHome()
  const runtime = await createRuntime({ home, handlers: { work: () => ({ n: 1 }) } })
  const jobs = { a: { call: 'work' }, gate: { needs: ['a'], approve: { prompt: 'Ship it?' } } } as const
  const { id } = await runtime.submit(definePlan({ name: 'p', jobs }))
  for await (const { job, to } of runtime.events({ plan: id })) if (job === 'gate' && to === 'waiting') break
  await runtime.stop()
  const ask = (ref: string, asked: Command) => command(home, ref, asked, undefined, () => {})
  const wants: readonly (readonly [Command, string, string])[] = [
    [{ do: 'cancel' }, 'a plan or a job', 'cancel REF'],
    [{ do: 'retry' }, 'a plan or a job', 'retry REF'],
    [{ do: 'retry', failed: true }, 'a plan', 'retry PLAN --failed'],
    [{ do: 'retry', downstream: true }, 'a job', 'retry REF --downstream'],
    [{ do: 'pause' }, 'a plan', 'pause PLAN'],
    [{ do: 'continue' }, 'a plan', 'continue PLAN'],
    [{ do: 'skip' }, 'a job', 'skip REF'],
    [{ do: 'now' }, 'a job', 'now REF'],
    [{ do: 'approve' }, 'a job', 'approve REF'],
    [{ do: 'reject' }, 'a job', 'reject REF'],
  ]

  for (const [asked, takes, write] of wants) {
    // Of a question there is no attempt at all.
    for (const job of ['a', 'gate']) {
      const command = write.replace('REF', `${id}/${job}`).replace('PLAN', id)
      await expect(ask(`p/${job}#1`, asked)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringMatching(
          new RegExp(
            `^${asked.do}.* takes ${takes}; ${id}/${job}#1 names an attempt of ${id}/${job}: \`tenuto ${command}\`$`,
          ),
        ) as string,
      })
    }
  }
  for (const ref of ['p/b#1', 'p/a#0', 'p/a#', 'p#1', 'q/a#1'])
    await expect(ask(ref, { do: 'skip' })).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
  expect((await ask('p/gate', { do: 'approve' })).receipt.changed).toBe(true)
  expect((await ask('p/a', { do: 'retry' })).receipt.changed).toBe(true)
})

test('what is asked of a job where a plan is wanted, or the other way round, is told what to write', async () => {
  const home = newHome()
  const runtime = await createRuntime({ home, handlers: { work: () => ({ n: 1 }) } })
  const { id } = await runtime.submit(definePlan({ name: 'p', jobs: { a: { call: 'work' } } }))
  await runtime.stop()
  const ask = (ref: string, asked: Command) => command(home, ref, asked, undefined, () => {})

  await expect(ask('p/a', { do: 'pause' })).rejects.toThrow(
    `pause takes a plan; ${id}/a is a job: \`tenuto pause ${id}\``,
  )
  await expect(ask('p', { do: 'retry', downstream: true })).rejects.toThrow(
    `retry --downstream takes a job; ${id} is a plan: \`tenuto retry ${id}/JOB --downstream\``,
  )
})

test('an attempt that is not there is explained as its job', async () => {
  const catalog = {
    resolve: async (ref: string) => {
      if (ref !== 'p/gate') throw new TenutoError('REF_NOT_FOUND', { ref })
      return { plan: 'p-aaaaaa', job: 'gate', attempt: null }
    },
  }

  expect(await targetOf(catalog, 'p/gate#2')).toEqual({ plan: 'p-aaaaaa', job: 'gate', attempt: 2 })
  await expect(targetOf(catalog, 'p/other#2')).rejects.toMatchObject({ code: 'REF_NOT_FOUND' })
})
