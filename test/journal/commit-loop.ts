/** A process that commits one step after the other to the journal named, and says each position once it is acknowledged. */
import { writeSync } from 'node:fs'
import { jobAddress } from '../../src/address.ts'
import { sqliteJournal } from '../../src/journal/sqlite.ts'
import { BOOT, batch, mail, mailOf, moved } from './batches.ts'

const journal = await sqliteJournal({ file: process.argv[2] ?? '', boot: BOOT, durability: 'full' })
const address = jobAddress('p-aaaaaa', 'loop')
let { position, mail: id } = journal.opening
for (;;) {
  await journal.commit(
    batch({ ...moved(position, address, position), ...mail({ added: [mailOf(id + 1, address)] }) }),
  )
  position += 1
  id += 1
  writeSync(1, `${position}\n`)
}
