#!/bin/bash
# Called by keepalived as root on both master nodes; the same file on both. Takes the place of
# keepalived_drbd_mfs.sh and works under that name, too, with the keepalived.conf that called it.
#
# With HA_PEERS in mfsmaster.cfg the masters replicate and elect their leader; this script asks,
# promotes and demotes, and starts what is missing. Without HA_PEERS one master runs at a time: it is
# started where the address goes and stopped where it leaves. Then both nodes have to see one
# DATA_PATH; nothing here copies it, except into an empty one from the metalogger's files.

# --- what the override file may change ---------------------------------------------------------

CONFIG_DIR=${CONFIG_DIR:-/etc/keepalived}
MAINTENANCE=$CONFIG_DIR/maintenance
STATE_DIR=${STATE_DIR:-/run/keepalived-mfs}
MFSMASTER=/usr/sbin/mfsmaster
MFSRESTORE=/usr/sbin/mfsmetarestore
MFSLOGGER=/usr/sbin/mfsmetalogger
MFSCGI=/usr/sbin/mfscgiserv
MFSMASTER_CFG=/etc/mfs/mfsmaster.cfg
MFSLOGGER_CFG=/etc/mfs/mfsmetalogger.cfg
MFSLOGERBAKDIR=/var/lib/mfs
MFSUSER=
MFSGROUP=
CHECK_SECONDS=1      # a master that does not answer within this time is not well
PROMOTE_SECONDS=30   # how long `master` waits until this node serves
STOP_SECONDS=5       # how long a single master may take to save its state before it is killed
LOCK_SECONDS=60      # how long a run waits for the one before it
LOGGER=${LOGGER:-logger}

# --- exit codes ----------------------------------------------------------------------------------

OK=0            # done; check: this node serves or could
NOT_WELL=1      # check: this node can neither serve nor lead
USAGE=2         # no such verb
NO_START=3      # the master cannot be started
NOT_LEADING=4   # the master did not begin to serve in time
NO_STOP=5       # the master cannot be stopped or does not hand over
BUSY=6          # an earlier run did not end in time
NO_STATE=7      # the state directory cannot be used

usage() {
    cat <<E
usage: ${0##*/} check|master|backup|fault|track|--help

  check    exit 0 when the master of this node answers (or need not run here), 1 otherwise; starts
           what is missing: metalogger, with HA_PEERS master, where the master serves monitor page
  master   this node gets the address: its master serves when this ends with 0. What works is never
           restarted, nothing is forced
  backup   this node has lost the address: leadership is handed over; a single master is stopped
  fault    like backup
  track    writes whether this node leads to $STATE_DIR/leader, for keepalived's
           track_file; fit for HA_EVENT_COMMAND in mfsmaster.cfg

  $MAINTENANCE           while this file exists, check does not look at the master
  $CONFIG_DIR/keepalived_mfs_config.sh      sets the variables at the top of the script;
  $CONFIG_DIR/keepalived_drbd_mfs_config.sh is read before it, DRBD's variables are ignored

exit codes: 0 done, 1 not well, 2 usage, 3 no start, 4 not serving in time, 5 no stop, 6 busy,
7 state directory
E
}

# log LEVEL TEXT: levels debug, info, warning, err
log() {
    "$LOGGER" -t "KeepAlived[$$]" -p "syslog.$1" -- "$VERB: $2" 2>/dev/null || true
}

# Runs a command; what it says goes to the log. A daemon that stays must neither keep a pipe open nor
# the lock.
run() {
    local out=$STATE_DIR/out.$$ line code
    "$@" >"$out" 2>&1 9>&- </dev/null
    code=$?
    while IFS= read -r line; do
        [ -n "$line" ] && log info "${1##*/}: $line"
    done < <(tr -d '\000' <"$out")
    rm -f "$out"
    return $code
}

# setting FILE KEY DEFAULT: the last definition in a daemon's configuration file
setting() {
    local value
    value=$(sed -n "s/^[[:space:]]*$2[[:space:]]*=[[:space:]]*//p" "$1" 2>/dev/null | tail -n 1)
    value=${value%"${value##*[![:space:]]}"}
    printf '%s' "${value:-$3}"
}

is_replicated() { [ -n "$(setting "$MFSMASTER_CFG" HA_PEERS '')" ]; }

master() { run "$MFSMASTER" -c "$MFSMASTER_CFG" "$@"; }

master_runs() { "$MFSMASTER" -c "$MFSMASTER_CFG" test >/dev/null 2>&1 9>&-; }

# The master is asked for its version at its port for metaloggers, which a master whose process is
# there and does nothing does not answer. One that closes the connection at once lives as well.
master_answers() {
    local host port
    host=$(setting "$MFSMASTER_CFG" MATOML_LISTEN_HOST '*')
    port=$(setting "$MFSMASTER_CFG" MATOML_LISTEN_PORT 9419)
    [ "$host" = '*' ] && host=127.0.0.1
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout "$CHECK_SECONDS" bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        printf "\000\000\000\012\000\000\000\000" >&3
        head -c 1 <&3 >/dev/null' probe "$host" "$port" 2>/dev/null 9>&-
}

# The master's answer to an operator's command, within the deadline.
ha() { timeout "$CHECK_SECONDS" "$MFSMASTER" ha -c "$MFSMASTER_CFG" "$@" 2>/dev/null 9>&-; }

replica_leads() { [ "$(ha role)" = leader ]; }

# Leading or able to lead: somebody leads, and this node's data are whole.
replica_is_well() {
    local status
    status=$(ha status --json)
    [ $? -le 1 ] && ! grep -q '"self":true[^}]*"data":"Inconsistent' <<<"$status"
}

# Asks for the leadership for this node. Only the present leader can give it; without one the nodes
# elect by themselves.
ask_to_lead() {
    local node
    node=$(ha status --json | sed -n 's/^{"node":"\([^"]*\)".*/\1/p')
    [ -n "$node" ] && run timeout "$PROMOTE_SECONDS" "$MFSMASTER" ha -c "$MFSMASTER_CFG" promote "$node"
}

role() { cat "$STATE_DIR/role" 2>/dev/null; }

# Replaces a small file at once, so that no reader sees a half of it.
put() { printf '%s\n' "$2" >"$STATE_DIR/$1.$$" && mv -f "$STATE_DIR/$1.$$" "$STATE_DIR/$1"; }

ensure_metalogger() {
    [ -x "$MFSLOGGER" ] && [ -f "$MFSLOGGER_CFG" ] || return 0
    "$MFSLOGGER" -c "$MFSLOGGER_CFG" test >/dev/null 2>&1 9>&- && return 0
    log warning "mfsmetalogger does not run, starting it"
    run "$MFSLOGGER" -c "$MFSLOGGER_CFG" start || log err "mfsmetalogger cannot be started"
}

ensure_monitor() {
    [ -x "$MFSCGI" ] || return 0
    pgrep -f "^[^ ]*(python[0-9.]* )?$MFSCGI" >/dev/null && return 0
    log warning "mfscgiserv does not run, starting it"
    run "$MFSCGI" start || log err "mfscgiserv cannot be started"
}

# A newer request has come while this one waited or worked.
superseded() { [ "$(cat "$STATE_DIR/wanted" 2>/dev/null)" != "$VERB $$" ]; }

# One transition at a time; of those that wait only the newest does something.
transition() {
    put wanted "$VERB $$"
    exec 9>"$STATE_DIR/lock"
    if ! flock -w "$LOCK_SECONDS" 9; then
        log err "an earlier run has not ended within $LOCK_SECONDS seconds"
        exit $BUSY
    fi
    if superseded; then
        log info "superseded by: $(cat "$STATE_DIR/wanted")"
        exit $OK
    fi
}

# The master's directory is empty: the metalogger's files are what is left.
restore_if_empty() {
    local data
    data=$(setting "$MFSMASTER_CFG" DATA_PATH /var/lib/mfs)
    compgen -G "$data/metadata*" >/dev/null && return 0
    compgen -G "$MFSLOGERBAKDIR/metadata_ml.mfs.back*" >/dev/null || return 0
    [ -x "$MFSRESTORE" ] || return 0
    log warning "no metadata in $data, restoring from the metalogger's files in $MFSLOGERBAKDIR"
    run "$MFSRESTORE" -a -d "$MFSLOGERBAKDIR" || return 0
    mkdir -p "$data" &&
        cp "$MFSLOGERBAKDIR/metadata.mfs" "$data/metadata.mfs.copy" &&
        mv "$data/metadata.mfs.copy" "$data/metadata.mfs" || return 0
    rm -f "$MFSLOGERBAKDIR/metadata.mfs"
    if [ -n "$MFSUSER" ]; then
        chown "$MFSUSER${MFSGROUP:+:$MFSGROUP}" "$data" "$data/metadata.mfs"
    fi
}

start_master() {
    master_runs && return 0
    is_replicated || restore_if_empty
    # A crash leaves what only -a loads in other versions.
    master start || master_runs || master -a start
}

verb_check() {
    ensure_metalogger
    if [ -e "$MAINTENANCE" ]; then
        log debug "$MAINTENANCE exists, the master is not looked at"
        return $OK
    fi
    if is_replicated; then
        verb_track
        replica_is_well && return $OK
        if ! master_runs; then
            log warning "mfsmaster does not run, starting it"
            start_master >/dev/null 2>&1 &
            return $NOT_WELL
        fi
        log err "the master of this node neither leads nor could lead"
        return $NOT_WELL
    fi
    # On the other node no master runs; while one is being started or stopped it need not answer.
    [ "$(role)" = master ] || return $OK
    flock -n "$STATE_DIR/lock" true || return $OK
    ensure_monitor
    master_answers && return $OK
    log err "the master does not answer within $CHECK_SECONDS s"
    return $NOT_WELL
}

verb_track() {
    local leads=0
    is_replicated && replica_leads && leads=1
    [ "$(cat "$STATE_DIR/leader" 2>/dev/null)" = "$leads" ] || put leader "$leads"
}

verb_master() {
    local end=$((SECONDS + PROMOTE_SECONDS)) asked=-5
    transition
    log info "this node gets the address"
    put role master
    ensure_metalogger
    while ! superseded; do
        if ! start_master; then
            # The node before may still hold the data.
            [ $SECONDS -ge $end ] && { log err "the master cannot be started"; return $NO_START; }
        elif is_replicated; then
            replica_leads && break
            if [ $SECONDS -ge $((asked + 5)) ]; then
                asked=$SECONDS
                ask_to_lead
            fi
        else
            master_answers && break
        fi
        [ $SECONDS -ge $end ] && { log err "the master does not serve"; return $NOT_LEADING; }
        sleep 0.2
    done
    superseded && { log info "superseded by: $(cat "$STATE_DIR/wanted")"; return $OK; }
    ensure_monitor
    verb_track
    log info "the master serves"
}

verb_backup() {
    transition
    log info "this node does not have the address"
    put role "$VERB"
    ensure_metalogger
    if is_replicated; then
        # The master stays as a follower; that it leads no more is what counts.
        if replica_leads && ! run timeout "$PROMOTE_SECONDS" "$MFSMASTER" ha -c "$MFSMASTER_CFG" demote; then
            log err "leadership has not been handed over"
            return $NO_STOP
        fi
        start_master || log err "the master cannot be started"
        verb_track
        return $OK
    fi
    master_runs || return $OK
    master -t "$STOP_SECONDS" stop
    master_runs || return $OK
    log warning "the master has not ended within $STOP_SECONDS s, killing it"
    master -t "$STOP_SECONDS" kill
    master_runs || return $OK
    log err "the master cannot be stopped"
    return $NO_STOP
}

VERB=${1:-}
for file in keepalived_drbd_mfs_config.sh keepalived_mfs_config.sh; do
    # shellcheck disable=SC1090 # the operator's file
    [ -r "$CONFIG_DIR/$file" ] && . "$CONFIG_DIR/$file"
done
case $VERB in
check | master | backup | fault | track) ;;
-h | --help | help)
    usage
    exit $OK
    ;;
*)
    usage >&2
    exit $USAGE
    ;;
esac
if ! (umask 077 && mkdir -p "$STATE_DIR") || ! [ -O "$STATE_DIR" ]; then
    log err "$STATE_DIR cannot be used"
    exit $NO_STATE
fi
if [ -n "${DRBDADM-}${DRBDRESOURCE-}${MOUNTPOINT-}${SPLIT_BRAIN_METHOD-}" ] &&
    mkdir "$STATE_DIR/drbd-told" 2>/dev/null; then
    log warning "DRBD's variables in the override file have no meaning here and are ignored"
fi
case $VERB in
check) verb_check ;;
track) verb_track ;;
master) verb_master ;;
backup | fault) verb_backup ;;
esac
