/**
 * `tenuto service`: the unit with which systemd keeps a daemon of this user, and how it is installed. It is printed; nothing is written.
 */
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../build.ts'
import { TenutoError } from '../errors.ts'
import { homeOf } from './home.ts'
import { type Globals, homeFlag, screen } from './screen.ts'

/** What a unit is made of. */
export type UnitPaths = Readonly<{ node: string; launcher: string; home: string }>

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
export const unitText = ({ node, launcher, home }: UnitPaths): string => `[Unit]
Description=Tenuto, a durable runtime for plans of jobs
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=exec
ExecStart=${word(node)} ${word(launcher)} up --home ${word(home)} --no-color
KillMode=process
TimeoutStopSec=60
Restart=on-failure
RestartSec=5

[Install]
WantedBy=default.target
`

/** Prints the unit, and says how it is installed; answers the exit code. */
export const unit = async (flags: Globals): Promise<number> => {
  const on = screen(flags)
  const paths = {
    node: realpathSync(process.execPath),
    launcher: join(packageRoot(), 'bin', 'tenuto.cjs'),
    home: homeOf(flags),
  }
  const text = unitText(paths)
  on.answer(on.json ? JSON.stringify({ ...paths, unit: text }) : text.trimEnd())
  on.talk(`install it: tenuto service${homeFlag(flags)} > ~/.config/systemd/user/tenuto.service`)
  on.talk(
    'start it, now and at each login: systemctl --user daemon-reload && systemctl --user enable --now tenuto',
  )
  on.talk('and without a login: loginctl enable-linger')
  return 0
}
