import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { openFolder } from './tenuto.ts'

/** A diamond whose last job waits until the test has seen enough. */
const PLAN = `plan: v1
name: p
jobs:
  top: { run: "true" }
  left: { run: "true", needs: [top] }
  right: { run: "true", needs: [top] }
  bottom: { run: "while ! test -e seen; do sleep 0.05; done", needs: [left, right] }
`
const URL = /inspect: (http:\/\/127\.0\.0\.1:\d+\/\w+\/)/

test('run --inspect says where to look, shows what lives, and the plan ends; without the flag nothing is said', async () => {
  const { file, start, run } = openFolder()
  file('p.yaml', PLAN)

  const running = start('run', '--inspect', 'p.yaml')
  let said = ''
  running.child.stderr?.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  await running.heard('inspect: http')
  await running.heard('bottom')
  const url = URL.exec(said)?.[1] ?? ''
  const socket = new WebSocket(url.replace('http:', 'ws:'))
  const names = new Set<string>()
  await new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const { name = '' } = JSON.parse(data.toString()) as { name?: string }
      names.add(name.replace(/p-\w{6}/, 'P'))
      if (names.has('job:P/bottom')) resolve()
    })
  })
  const page = await (await fetch(url)).text()
  file('seen', '')
  const { code, out } = await running.said
  const plain = await run('run', 'p.yaml')

  expect([...names].slice(0, 2)).toEqual(['host', 'plan:P'])
  expect(page).toContain('Live actors')
  expect([code, /^p-\w+ succeeded$/m.test(out)]).toEqual([0, true])
  expect([plain.code, plain.err.includes('inspect')]).toEqual([0, false])
})

test('up --inspect says where to look, also in the background; a run that the daemon takes is not inspected here', async () => {
  const { file, run } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n')

  const up = await run('up', '--detach', '--inspect')
  const page = await fetch(URL.exec(up.err)?.[1] ?? '')
  const said = await run('run', '--inspect', 'p.yaml')
  const down = await run('down')

  expect([up.code, page.status, said.code, down.code]).toEqual([0, 200, 0, 0])
  expect(said.err).toContain('start that with tenuto up --inspect')
  await expect(fetch(URL.exec(up.err)?.[1] ?? '')).rejects.toThrow('fetch failed')
})

test('an inspector whose port is taken is said to be missing in one line, and the plan ends without it', async () => {
  const { file, run } = openFolder()
  file('p.yaml', 'plan: v1\nname: p\njobs:\n  a: { run: "true" }\n')
  const other = createServer()
  const port = await new Promise<number>((resolve) => {
    other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port))
  })

  const said = await run('run', `--inspect=${port}`, 'p.yaml')
  const wrong = await run('run', '--inspect=x', 'p.yaml')
  other.close()

  expect(said.code).toBe(0)
  expect(said.err.match(/the inspector cannot be started.*EADDRINUSE/g)).toHaveLength(1)
  expect([wrong.code, wrong.err.includes('--inspect=x')]).toEqual([2, true])
})
