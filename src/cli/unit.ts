/**
 * `tenuto service`: the unit with which systemd keeps a daemon of this user, and how it is installed. It is printed; nothing is written.
 */
import { hash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { packageRoot } from '../build.ts'
import { TenutoError } from '../errors.ts'
import { homeOf } from './home.ts'
import { type Globals, homeFlag, screen } from './screen.ts'
import { type TcpFlags, tcpOf } from './tcp.ts'

/** What a unit is made of. */
export type UnitPaths = Readonly<{ node: string; launcher: string; home: string; port?: string }>

/**
 * A path as a word of a unit: in quotes, where what systemd takes for its own is written twice or behind a backslash.
 * @throws {TenutoError} `USAGE` when it has a line end, which no unit can say.
 */
const word = (path: string): string => {
  if (/[\n\r\0]/.test(path))
    throw new TenutoError('USAGE', {
      what: `${JSON.stringify(path)} cannot be named in a unit: it has a line end`,
    })
  const text = path
    .replaceAll('%', '%%')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('$', '$$$$')
  return /^[\w./~@+:,%-]+$/.test(text) ? text : `"${text}"`
}

/**
 * The text of a user unit. What runs is no part of the unit's life: only the daemon is told to stop. A start while another still ends is
 * refused, and so it is tried again.
 */
export const unitText = ({ node, launcher, home, port }: UnitPaths): string => `[Unit]
Description=Tenuto, a durable runtime for plans of jobs
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart=${word(node)} ${word(launcher)} up --home ${word(home)}${port === undefined ? '' : ` --port ${port}`} --no-color
KillMode=process
TimeoutStopSec=60
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
`

/** The name of the unit of a home: of the usual one `tenuto`, of others with their folder, and told apart where these have one name. */
export const unitName = (home: string, usual: string): string => {
  if (home === usual) return 'tenuto'
  const folder = basename(home).replaceAll(/[^\w.-]+/g, '-')
  return `tenuto-${folder}-${hash('sha256', home).slice(0, 6)}`
}

/** Prints the unit, and says how it is installed; answers the exit code. */
export const unit = async (flags: Globals & Pick<TcpFlags, 'port'>): Promise<number> => {
  const on = screen(flags)
  // As `up` will read it.
  tcpOf(flags)
  const paths = {
    node: realpathSync(process.execPath),
    launcher: join(packageRoot(), 'bin', 'tenuto.cjs'),
    home: homeOf(flags),
    ...(flags.port === undefined ? {} : { port: flags.port }),
  }
  const name = unitName(paths.home, homeOf({}))
  const text = unitText(paths)
  on.answer(on.json ? JSON.stringify({ ...paths, name, unit: text }) : text.trimEnd())
  on.talk(
    `install it: tenuto service${homeFlag(flags)}${flags.port === undefined ? '' : ` --port ${flags.port}`} > ~/.config/systemd/user/${name}.service`,
  )
  on.talk(
    `start it, now and at each login: systemctl --user daemon-reload && systemctl --user enable --now ${name}`,
  )
  on.talk('and without a login: loginctl enable-linger')
  return 0
}
