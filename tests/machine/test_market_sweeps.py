"""Mass cancels and the kill switch in markets, on both machines."""

from __future__ import annotations

from rules_kit import Exchange, on_both_machines

import matchcore as mc


@on_both_machines
def test_a_mass_cancel_has_a_range_and_a_session(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading
        buy 1 1@97 session=5
        buy 2 1@98 session=6
        buy 3 1@99 session=5
        sell 4 9 stop stop=90 session=5
        mass price=98 to=99 range session=5 of_session => cancelled 3 1@99 MASS_CANCEL,
            mass_cancelled 1
        mass price=97 to=97 range => cancelled 1 1@97 MASS_CANCEL, mass_cancelled 1
        mass of_session => mass_cancelled 0
        mass of_session session=5 => cancelled 4 9@0 MASS_CANCEL, mass_cancelled 1
        mass price=2 to=1 range => rejected BAD_VALUE PRICE
        mass post => rejected BAD_FLAGS FLAGS
        book => 98: 2x1 / -
        """
    )


@on_both_machines
def test_a_mass_cancel_passes_over_markets_that_take_no_cancels(machine: str) -> None:
    """Unless it names the market, or comes from the operator: account 0."""
    worlds = [mc.Instrument(name, tick=1) for name in ("ONE", "TWO")]
    exchange = Exchange(machine, *worlds)
    exchange.run(
        """
        set trading
        buy 1 1@97 acc=7
        buy 2 1@97 acc=7 on=2
        set trading cancel_phases=0
        mass on=0 acc=7 => cancelled 2 1@97 MASS_CANCEL, mass_cancelled 1
        mass on=1 acc=7 => rejected BAD_PHASE KIND
        mass on=1 => cancelled 1 1@97 MASS_CANCEL, mass_cancelled 1
        """
    )


@on_both_machines
def test_the_kill_switch_of_an_account_takes_orders_wherever_they_are(machine: str) -> None:
    exchange = Exchange(machine)
    exchange.run(
        """
        set trading cancel_phases=0
        buy 1 1@97 acc=7
        buy 2 1@97 acc=8
        sell 3 9 stop stop=90 acc=7
        sell 4 9@99 at_close acc=7
        limit acc=7 flags=3 => cancelled 1 1@97 KILL_SWITCH, cancelled 3 9@0 KILL_SWITCH,
            cancelled 4 9@99 KILL_SWITCH, limits_set 3 3
        buy 5 1@97 acc=7 => rejected ACCOUNT_BLOCKED ACCOUNT
        """
    )
