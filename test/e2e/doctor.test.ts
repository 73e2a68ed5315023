import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { auditHome } from '../../src/audit/home.ts'
import { openFolder } from './tenuto.ts'

test('an audit beside a holder that works finds nothing, however often', { timeout: 60_000 }, async () => {
  const { file, start, home } = openFolder()
  const jobs = Array.from({ length: 150 }, (_, at) => {
    const needs = at < 8 ? '' : `needs: [j${at - 8}], `
    return `  j${at}: { ${needs}run: "true" }`
  })
  file('p.yaml', `plan: v1\nname: p\nmaxParallel: 8\njobs:\n${jobs.join('\n')}\n`)
  const running = start('run', 'p.yaml')
  await running.heard('running')
  let over = false
  const end = running.said.finally(() => {
    over = true
  })

  const steps = new Set<number>()
  while (!over) {
    const { findings, counts } = await auditHome(home)
    expect(findings).toEqual([])
    steps.add(counts.steps)
    await nextTurn()
  }

  expect((await end).code).toBe(0)
  // Otherwise nothing was written beside any audit.
  expect(steps.size).toBeGreaterThan(5)
})
