/**
 * How a file comes to have its schema: made whole beside its place and renamed, or brought up from
 * an older schema in one transaction after a backup copy. A newer schema is refused, and the file is not touched.
 */
import { chmodSync, existsSync } from 'node:fs'
import { TenutoError } from '../errors.ts'
import { removeDraft, settleDraft, writeCopy } from './draft.ts'
import type { Driver, OpenDriver } from './driver.ts'
import { metaCrc } from './rows.ts'
import { APPLICATION_ID, type Schema } from './schema.ts'
import { refuseGone } from './traces.ts'

/** Seals what the file says of itself, under the number of its schema. */
export const sealMeta = (driver: Driver, version: number): void => {
  const meta = driver.prepare('SELECT home, epoch, position, mail, dead FROM meta WHERE id = 1').get()
  driver.prepare('UPDATE meta SET crc = ? WHERE id = 1').run(metaCrc(meta ?? [], version))
}

/**
 * Makes the file with its schema if there is none. It is made beside its place and renamed, so that a file in its place was once
 * whole, and an empty one is damage.
 * @throws {TenutoError} as `refuseGone`, when there is none.
 */
export const makeFile = (open: OpenDriver, file: string, home: string, schema: Schema): void => {
  if (existsSync(file)) return
  refuseGone(file)
  const draft = `${file}.new`
  removeDraft(draft)
  const driver = open(draft, 'write')
  try {
    chmodSync(draft, 0o600)
    driver.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA journal_mode = WAL; BEGIN IMMEDIATE`)
    driver.exec(schema.create)
    driver
      .prepare('INSERT INTO meta (id, home, epoch, position, mail, dead, crc) VALUES (1, ?, 0, 0, 0, 0, 0)')
      .run(home)
    sealMeta(driver, schema.version)
    driver.exec(`PRAGMA user_version = ${schema.version}; COMMIT`)
  } finally {
    driver.close()
  }
  settleDraft(draft, file)
}

/** Brings an older file to the schema, all in one transaction, after a copy to `FILE.schema-N`. Idempotent. */
export const migrate = (driver: Driver, file: string, found: number, schema: Schema): void => {
  if (found === schema.version) return
  writeCopy(driver, `${file}.schema-${found}`, () => {})
  driver.exec('BEGIN IMMEDIATE')
  try {
    for (let from = found; from < schema.version; from += 1) {
      const migration = schema.migrations.find((one) => one.from === from)
      if (!migration)
        throw new TenutoError('STORE_BROKEN', { path: file, why: `nothing leads on from schema ${from}` })
      driver.exec(migration.sql)
      migration.then?.(driver)
    }
    sealMeta(driver, schema.version)
    driver.exec(`PRAGMA user_version = ${schema.version}; COMMIT`)
  } catch (error) {
    if (driver.inTransaction()) driver.exec('ROLLBACK')
    throw error
  }
}
