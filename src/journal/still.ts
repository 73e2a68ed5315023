/**
 * Opening a journal's file to read it, also where no index of a write-ahead log can be made: on a disk that is full or write-protected.
 */
import { statSync } from 'node:fs'
import { TenutoError } from '../errors.ts'
import { type Driver, lacksIndex, type OpenDriver, resultCode, storeError } from './driver.ts'
import { openingError } from './structure.ts'

/** What SQLite says where it has no leave to make a write-ahead log. */
const CANTOPEN = 14

/**
 * Gives a connection that reads the file to `use`, which closes it at the latest when it throws. It may be called twice: where no log was
 * left none is needed, and the file is read as it stands.
 * @throws {TenutoError} what the file is to whoever reads it; `STORE_FULL` when it has a write-ahead log and no room for an index;
 * `STORE_BROKEN` when it was read as it stands and somebody has begun to write it meanwhile.
 */
export const openToRead = <R>(file: string, open: OpenDriver, use: (driver: Driver) => R): R => {
  try {
    return use(open(file, 'read'))
  } catch (error) {
    if ((!lacksIndex(error) && resultCode(error) !== CANTOPEN) || logBytes(file) > 0)
      throw storeError(file, openingError(file, error))
  }
  try {
    return use(whileStill(open(file, 'still'), file))
  } catch (error) {
    throw storeError(file, error)
  }
}

const logBytes = (file: string): number => statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0

/** A connection on which nothing counts that was read after somebody had begun to write. */
const whileStill = (driver: Driver, file: string): Driver => {
  const stamp = (): string => `${logBytes(file)} ${statSync(file).size} ${statSync(file).mtimeMs}`
  const before = stamp()
  const checked = <R>(read: R): R => {
    if (stamp() === before) return read
    throw new TenutoError('STORE_BROKEN', {
      path: file,
      why: 'somebody has begun to write it; read it again',
    })
  }
  return {
    ...driver,
    prepare: (sql) => {
      const { get, all, run } = driver.prepare(sql)
      return {
        run: (...values) => checked(run(...values)),
        get: (...values) => checked(get(...values)),
        all: (...values) => checked(all(...values)),
      }
    },
  }
}
