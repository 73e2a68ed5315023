import { test } from 'vitest'
import { keepsOrderOnProcesses } from '../support/graphs.ts'

test.each([2, 3, 4, 5])('300 random jobs on real processes, seed %i, keep their order in a ledger', (seed) =>
  keepsOrderOnProcesses(seed),
)
