/**
 * File systems by their types, as Linux numbers them (statfs(2)).
 */
import { statfsSync } from 'node:fs'

/** Those of a disk of this machine. */
export const LOCAL: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0xf2f52010: 'f2fs',
  0x2fc12fc1: 'zfs',
  0xca451a4e: 'bcachefs',
}

/** Those of other machines: whoever writes there besides sees no lock of ours, and the memory that SQLite shares is not shared. */
export const NETWORK: Readonly<Record<number, string>> = {
  0x6969: 'nfs',
  0x517b: 'smb',
  0xff534d42: 'cifs',
  0xfe534d42: 'smb',
  0x5346414f: 'afs',
  0x00c36400: 'ceph',
  0x0bd00bd0: 'lustre',
}

/** Those that bring folders of a host into a machine or a sandbox on it. */
export const HOST: Readonly<Record<number, string>> = { 0x01021997: '9p', 0x786f4256: 'vboxsf' }

/** Those that are gone with this machine, or with the container that has them. */
const PASSING = new Set([0x01021994, 0x858458f6, 0x794c7630])

/** Whether a folder keeps its number as long as it is there: of others nobody promises it. @throws what `statfs` throws. */
export const numbersFolders = (folder: string): boolean => {
  const type = typeOf(folder)
  return process.platform !== 'linux' || LOCAL[type] !== undefined || PASSING.has(type)
}

/** Of which type the file system of a folder is, without a sign. @throws what `statfs` throws. */
export const typeOf = (folder: string): number => statfsSync(folder).type >>> 0
