/** A folder for one test. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A new empty folder, removed when the test has finished. */
export const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'tenuto-journal-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}
