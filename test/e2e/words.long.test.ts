/** What commands say of a home whose daemon has died, while nobody has taken it up. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openFolder } from './tenuto.ts'

const PLAN = `plan: v1
name: p
jobs:
  ready: { run: while ! test -e ask; do sleep 0.05; done }
  gate: { needs: [ready], approve: { prompt: Ship it?, timeout: 5s } }
  a: { run: echo began; while ! test -e go; do sleep 0.05; done }
  b: { needs: [gate], run: 'true' }
`
const OTHER = "plan: v1\nname: q\njobs:\n  a: { run: 'while ! test -e go; do sleep 0.05; done' }\n"

test('what a dead daemon leaves is told as it is: a late question, what ran, who followed, what goes on', async () => {
  const { file, home, start, run, unsound } = openFolder()
  file('p.plan.yaml', PLAN)
  file('q.plan.yaml', OTHER)
  const up = start('up', '--no-parent')
  await up.heard('serving')
  const q = (await run('run', 'q.plan.yaml', '--detach')).out.trim()
  const follower = start('run', 'p.plan.yaml')
  await follower.heard('running')
  const id = /p-[a-z2-7]{6}/.exec((await run('ls')).out)?.[0] ?? ''
  // Its time begins only now, and it is not up before the daemon is gone.
  file('ask', '')
  await follower.heard('waits for an answer')
  up.child.kill('SIGKILL')
  const lost = await follower.said

  // Its time is up while nobody is there.
  await expect.poll(async () => (await run('explain', `${id}/b`)).out).toContain('its time was up at')
  const explained = await run('explain', `${id}/b`)
  const refused = await run('approve', `${id}/gate`)
  const ran = await run('explain', `${id}/a`)
  const shown = await run('show', `${id}/a`)
  file('go', '')
  const resumed = await run('resume')
  const gate = await run('show', `${id}/gate`)
  const defects = await unsound()
  rmSync(join(home, 'attempts', id), { recursive: true })
  const logs = await run('logs', `${id}/a`)
  const ofAll = await run('logs', id)

  expect(lost.code).toBe(5)
  expect(lost.err).toContain(
    `${id} is not followed any more; what runs goes on.  take it up: tenuto resume ${id}`,
  )
  expect(explained.out).toContain('nobody runs the plans of this home')
  expect(explained.out).not.toContain('tenuto approve')
  expect(refused.code).toBe(7)
  expect(refused.err).toContain('the time of its question was up at')
  expect(refused.err).toContain(`tenuto resume ${id}`)
  expect(ran.out).toMatch(/attempt 1 ran as pid \d+ when it was last seen, and nobody watches it now/)
  expect(shown.out).toContain('was running')
  expect(resumed.err).not.toContain('other plan')
  expect(resumed.out).toContain(`${q} succeeded`)
  expect(resumed.err).toContain('gate failed: nobody answered in time')
  expect(gate.out).toContain('nobody answered in time')
  expect(logs).toMatchObject({ code: 0, out: '' })
  expect(logs.err).toContain(`the log of attempt 1 of ${id}/a is not there any more`)
  expect(ofAll).toMatchObject({ code: 0, out: '' })
  expect(ofAll.err).toContain(`2 logs of ${id} are not there any more`)
  expect(defects).toEqual([])
})
