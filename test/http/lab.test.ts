/** The lab itself: of a stream it reads what that must say, however long that takes, and no more. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Lab, openLab } from './lab.ts'

let lab: Lab
beforeAll(async () => {
  lab = await openLab()
})
afterAll(async () => {
  await lab.stop()
  lab.remove()
})

const API = '/api/v1'
const follow = async (path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> => {
  const { status, text } = await lab.send({
    method: 'GET',
    path: `${API}${path}`,
    headers: { ...lab.bearer, ...headers },
  })
  expect(status).toBe(200)
  return text
}
const THERE = ':\n\n'

test('a stream that has something to say is read until it has said it; one that has nothing, until it says that it is there', async () => {
  const { position } = await lab.runtime.state()
  const ofLab = `/plans/${lab.lab}/jobs`

  expect(await follow('/events')).toContain('id: 1\n')
  expect(await follow('/events', { 'last-event-id': '1' })).toContain('id: 2\n')
  expect(await follow(`/events?topics=plan:${lab.done}`)).toContain(lab.done)
  expect(await follow('/events?topics=daemon')).toContain('event: storage')
  expect(await follow(`/events?after=${position}`)).toBe(THERE)
  expect(await follow(`/events?after=${position + 1}`)).toContain('event: reset')
  expect(await follow(`${ofLab}/quick/attempts/1/log/stream`)).toContain('event: end')
  expect(await follow(`${ofLab}/gate/attempts/2/log/stream`)).toBe(THERE)
})
