/**
 * A disk that a test can fill: a file system in memory, where this user may make one.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { codeOf } from '../../src/thrown.ts'

/** A disk of a few megabytes. */
export type SmallDisk = Readonly<{
  /** Leaves no byte free. */
  fill: () => void
  /** Takes all that filled it away again. */
  makeRoom: () => void
  /** Lets nobody write to it, or everybody again; who has a file open may go on. */
  protect: (wanted: boolean) => void
}>

/** Mounts a disk of so many megabytes on a folder, which is made, until the test ends; null where this user may not. */
export const smallDisk = (folder: string, megabytes: number): SmallDisk | null => {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    const options = `size=${megabytes}m,mode=0700`
    mount('mount', '-t', 'tmpfs', '-o', options, 'tenuto', folder)
  } catch {
    return null
  }
  let isProtected = false
  onTestFinished(() => {
    if (isProtected) mount('umount', '-l', folder)
    mount('umount', '-l', folder)
  })
  let fillers = 0
  const filler = (): string => join(folder, `filler-${fillers}`)
  return {
    fill: () => {
      const { bavail, bsize } = statfsSync(folder)
      fillers += 1
      try {
        writeFileSync(filler(), Buffer.alloc(bavail * bsize))
      } catch (error) {
        // Whoever else writes there took some of it meanwhile: it is full all the same.
        if (codeOf(error) !== 'ENOSPC') throw error
      }
    },
    makeRoom: () => {
      for (; fillers > 0; fillers -= 1) rmSync(filler())
    },
    protect: (wanted) => {
      // Over itself: what is open for writing below would keep it from being protected.
      if (wanted) mount('mount', '--bind', folder, folder)
      isProtected = wanted
      if (wanted) mount('mount', '-o', 'remount,bind,ro', folder)
      else mount('umount', '-l', folder)
    },
  }
}

const mount = (program: string, ...args: string[]): void => {
  execFileSync(program, args, { stdio: 'ignore' })
}
