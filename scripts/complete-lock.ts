/**
 * Completes `package-lock.json` with the platform packages that the registry in use could not offer.
 *
 * Compilers and linters come as one optional package a platform. Where a registry lags and lacks one for another
 * platform, `npm install` leaves it out of the lock file, and `npm ci` then refuses that lock file everywhere. An entry
 * without integrity is enough: npm reads from it that the package is for others, or fetches it where it is wanted.
 * Run after `npm install` has changed the lock file; it says what it added, and changes nothing if nothing is missing.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/build.ts'

type Entry = Readonly<{ optionalDependencies?: Readonly<Record<string, string>>; dev?: boolean }> &
  Readonly<Record<string, unknown>>
type Lock = Readonly<{ packages: Readonly<Record<string, Entry>> }> & Readonly<Record<string, unknown>>

const path = join(packageRoot(), 'package-lock.json')
const lock = JSON.parse(readFileSync(path, 'utf8')) as Lock
const added = missing(lock)

if (Object.keys(added).length > 0) {
  const all = Object.entries({ ...lock.packages, ...added })
  const packages = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(path, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`)
}
for (const place of Object.keys(added)) process.stdout.write(`added ${place}\n`)

function missing({ packages }: Lock): Record<string, Entry> {
  const wanted = Object.values(packages).flatMap((entry) =>
    Object.entries(entry.optionalDependencies ?? {}).map(([name, version]) => ({
      name,
      version,
      dev: entry.dev,
    })),
  )
  const absent = wanted.filter(
    ({ name }) => !Object.keys(packages).some((place) => place.endsWith(`node_modules/${name}`)),
  )
  return Object.fromEntries(
    absent.map(({ name, version, dev }) => {
      if (!/^\d+\.\d+\.\d+/.test(version))
        throw new Error(`${name} is wanted as ${version}: its version is not known`)
      return [
        `node_modules/${name}`,
        { version, ...platformOf(name), ...(dev ? { dev } : {}), optional: true },
      ]
    }),
  )
}

/** Such packages carry their platform in the name, in the words of Node. */
function platformOf(name: string): Entry {
  const os = name.match(/darwin|win32|linux|android|freebsd|netbsd|openbsd|sunos|aix|openharmony/)?.[0]
  const cpu = name.match(/arm64|arm(?=-)|x64|ia32|ppc64|riscv64|s390x|loong64|mips64el|wasm32/)?.[0]
  if (cpu === undefined) throw new Error(`${name} does not name its platform: add its entry by hand`)
  const libc = name.includes('musl') ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined
  return {
    cpu: [cpu],
    ...(libc !== undefined && os === 'linux' ? { libc: [libc] } : {}),
    ...(os === undefined ? {} : { os: [os] }),
  }
}
