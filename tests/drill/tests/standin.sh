#!/bin/sh
# An application of the drill with curl in the library's place: honest, or, with STANDIN_<app> set,
# wrong in one way. With D365_STORE its creates have ids of its own, and stand in that file before they are sent.
eval "mode=\${STANDIN_$D365_APP:-honest}"
primary=$D365_URL
alternate=$(printf %s "$primary" | sed 's/\./--s./')
active=$primary
calls=0
ledger=0
executed= # numbers on record
suspected=
in_doubt=
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
services=http://schemas.microsoft.com/xrm/2011/Contracts/Services
contracts=http://schemas.microsoft.com/xrm/2011/Contracts
generic=http://schemas.datacontract.org/2004/07/System.Collections.Generic
instance=http://www.w3.org/2001/XMLSchema-instance

request() { # path, curl's arguments
    path=$1
    shift
    curl -sif --cacert "$D365_CA_BUNDLE" -H "Authorization: Bearer $D365_TOKEN_PREFIX${active#https://}" \
        --connect-to "${D365_CONNECT_TO%%,*}" --connect-to "${D365_CONNECT_TO#*,}" "$@" "$active$path" 2>/dev/null
}

note() {
    [ -z "${D365_STORE-}" ] || echo "$*" >>"$D365_STORE"
}

remember() {
    while read -r what number row name; do
        ledger=$number
        eval "row_$number=$row name_$number=$name"
        case $what in
        begun) in_doubt="$in_doubt $number" ;;
        ended)
            in_doubt=${in_doubt% "$number"}
            executed="$executed $number"
            ;;
        esac
    done
}

create_row() { # id, name
    request "/api/data/v9.2/accounts($1)" -X PATCH -H 'If-None-Match: *' -H 'Content-Type: application/json' \
        -d "{\"name\":\"$2\"}"
}

event() {
    echo "event $1 $primary $alternate endpoint_not_found"
}

suspects() { # effect, numbers on record
    effect=$1
    shift
    for number; do
        eval "row=\${row_$number-}"
        verdict=unverifiable
        if [ -n "$row" ]; then
            verdict=missing
            ! request "/api/data/v9.2/accounts($row)" >/dev/null || verdict=present
        fi
        echo "suspect $number $effect POST $primary $verdict"
        eval "name=\$name_$number"
        end=left
        [ $verdict != present ] || end=confirmed
        if [ $verdict = missing ] && [ -n "${D365_STORE-}" ] && [ "$mode" != lazy ]; then
            ! create_row "$row" "$name" >/dev/null || end=replayed
        fi
        echo "settled $number $name $end"
    done
}

call() { # what, then as request
    what=$1
    shift
    calls=$((calls + 1))
    attempts=1
    answer=$(request "$@")
    status=$?
    [ "$mode" != hasty ] || [ $status != 22 ] || status=7
    if [ $status = 7 ] && [ "$active" = "$primary" ]; then
        case $mode in
        backwards) event EndpointSwitched && event EndpointSwitchRequired ;;
        twice) event EndpointSwitchRequired && event EndpointSwitchRequired && event EndpointSwitched ;;
        *) event EndpointSwitchRequired && event EndpointSwitched ;;
        esac
        echo "event DataLossSuspected $(echo $in_doubt | wc -w) $(echo $executed | wc -w)"
        suspected=$executed
        active=$alternate
        attempts=2
        answer=$(request "$@")
        status=$?
    fi
    if [ $status != 0 ]; then
        echo "error connection_lost $what curl ended with $status"
        return 1
    fi
    echo "call ok $what"
    [ $attempts = 1 ] || echo "call retried $what"
}

create() { # name, command
    name=$1
    shift
    ledger=$((ledger + 1))
    eval "name_$ledger=$name"
    if "$@"; then
        executed="$executed $ledger"
        return 0
    fi
    if [ "$mode" = boaster ]; then
        echo "failed $name not_executed $ledger"
        return 1
    fi
    echo "failed $name unknown $ledger"
    echo "event WriteInDoubt $ledger POST $active connection_lost"
    in_doubt="$in_doubt $ledger"
    return 1
}

created() { # name
    id=$(printf %s "$answer" | grep -iE 'EntityId|CreateResult' | grep -oE "$uuid" | tail -n 1)
    eval "row_$ledger=$id"
    note ended $ledger "$id" "$1"
    case $mode in
    silent) ;;
    liar) echo "created 00000000-0000-4000-8000-000000000000 $1 $ledger" ;;
    *) echo "created $id $1 $ledger" ;;
    esac
}

soap() { # what, body
    call "$1" /XRMServices/2011/Organization.svc/web -H 'Content-Type: text/xml; charset=utf-8' -H "SOAPAction: $services/IOrganizationService/$2" \
        -d "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>$3</s:Body></s:Envelope>"
}

round() { # n
    name=$D365_APP-web-$1
    row="{\"name\":\"$name\"}"
    [ "$mode" != doubler ] || [ "$1" != 1 ] || request /api/data/v9.2/accounts -H 'Content-Type: application/json' -d "$row" >/dev/null
    if [ -n "${D365_STORE-}" ]; then
        id=$(cat /proc/sys/kernel/random/uuid)
        note begun $((ledger + 1)) "$id" "$name"
        create "$name" call create-web "/api/data/v9.2/accounts($id)" -X PATCH -H 'If-None-Match: *' \
            -H 'Content-Type: application/json' -d "$row" && created "$name" && call read-web "/api/data/v9.2/accounts($id)"
    elif create "$name" call create-web /api/data/v9.2/accounts -H 'Content-Type: application/json' -d "$row"; then
        created "$name"
        call read-web "/api/data/v9.2/accounts($id)"
    fi
    name=$D365_APP-soap-$1
    create "$name" soap create-soap Create "<Create xmlns='$services' xmlns:i='$instance'><entity xmlns:a='$contracts' xmlns:b='$generic'>
<a:Attributes><a:KeyValuePairOfstringanyType><b:key>name</b:key><b:value i:type='c:string'
 xmlns:c='http://www.w3.org/2001/XMLSchema'>$name</b:value></a:KeyValuePairOfstringanyType></a:Attributes>
<a:LogicalName>account</a:LogicalName></entity></Create>" && created "$name"
    soap whoami-soap Execute "<Execute xmlns='$services' xmlns:i='$instance'><request i:type='c:WhoAmIRequest'
 xmlns:a='$contracts' xmlns:c='http://schemas.microsoft.com/crm/2011/Contracts'><a:Parameters/>
<a:RequestId i:nil='true'/><a:RequestName>WhoAmI</a:RequestName></request></Execute>"
}

[ "$mode" != outdated ] || unset D365_STORE
[ "$mode" != amnesiac ] || rm -f "$D365_STORE"
[ ! -e "${D365_STORE-/nowhere}" ] || remember <"$D365_STORE"
[ "$mode" != idle ] || { cat >/dev/null; echo "done 0"; exit; }
echo ready
n=0
while timeout 0.02 cat >/dev/null; [ $? = 124 ]; do
    n=$((n + 1))
    round $n
    case $mode in
    dies) exit 7 ;;
    garbage) echo 'Segmentation fault, surely' ;;
    grumbles) echo 'a warning' >&2 ;;
    esac
done
[ "$mode" = forgetful ] || suspects executed $suspected
[ "$mode" = forgetful ] || suspects unknown $in_doubt
echo "done $calls"
