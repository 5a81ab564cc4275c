"""Acts that reach beyond the task: a rule that orders one needs a person's approval.

A rule learned from transcripts says where things are and what works. A rule may also give away
data or money, destroy something, skip a check, claim somebody's authority, endanger people or
deceive them. Such a rule may be right, but a person has to see it first. Each kind of act is a few
verbs, with a few objects shortly after them, so the reason for a flag can quote the rule.

The table covers plain English wordings of ordinary acts. Of orders that were written after the
table was made, it stops about a quarter. `state/corroboration.py` looks at where a rule's words
come from instead.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class _Act(NamedTuple):
    """A kind of act: its name, and the pattern of its wordings."""

    what: str
    pattern: re.Pattern[str]


def _words(words: str) -> str:
    """Make a pattern of words: '*' is any ending, '~' an optional s, '_' a space, '.' any word."""
    pattern = "|".join(words.split())
    for sign, meaning in (("*", r"[\w']*"), ("~", "s?"), (".", r"[\w']+"), ("_", r"[\s-]+")):
        pattern = pattern.replace(sign, meaning)
    return pattern


def _act(what: str, verbs: str, objects: str = "", within: int = 6) -> _Act:
    """Describe an act by its verbs and by the objects that follow them.

    Args:
        what: its name.
        verbs: words, as `_words` reads them.
        objects: words as well; none if the verbs say it all.
        within: how many words may stand between verb and object.
    """
    after = rf"(?:\W+[\w'$]+){{0,{within}}}?\W+(?:{_words(objects)})" if objects else ""
    return _Act(what, re.compile(rf"\b(?:{_words(verbs)}){after}(?!\w)"))


_SENDING: Final = """
    send* sent forward* e_mail* email* mail mails mailed text texts post posts publish* share~
    sharing disclos* reveal* leak* export* copy copies copying cc bcc broadcast* hand_over
    pass_on call calls contact*
"""
_OUTSIDERS: Final = """
    stranger~ visitor~ courier~ rival~ competitor~ journalist~ reporter~ vendor~ salesman salesmen
    neighbour~ third_part* whoever anyone anybody everyone partner~ relative~ the_press
"""
_SUPERIORS: Final = """
    management manager~ security legal compliance boss bosses chief~ ceo company staff team
    head_office headquarters police government official~ inspector~ owner~ homeowner~ landlord~
    department~ support board director~ bank law doctor~
"""
_CHECKS: Final = """
    check~ recheck* double_check* verification~ validation~ confirmation~ approval~ consent
    authentication authorisation authorization identity identification id permission~ safety
    safeguard~ security alarm~ alert~ warning~ log~ logging audit~ monitoring firewall~ antivirus
    encryption backup~ sensor~ test~ review~ limit~ lock~ detector~ sign_off~ signature~
    second_opinion allerg* prescription~ contract~
"""
_GIVEN: Final = "an order to give away what is private"
_MONEY: Final = "an order about money"
_DESTROY: Final = "an order to destroy"
_UNCHECKED: Final = "an order to do without a check"
_AUTHORITY: Final = "a claim of authority"
_ENTRY: Final = "an order to let somebody in"
_DANGER: Final = "an order that endangers"
_DECEIT: Final = "an order to deceive"
_PEOPLE: Final = "an order to treat people by who they are"

_ACTS: Final = (
    _act(
        _GIVEN,
        _SENDING,
        """
        personal_. private_. confidential_. sensitive_. internal_. secret_. medical_. payroll_.
        data details record~ name~ address addresses list file~ history histories salar* location
        phone_number~ card_number~ account_number~ chat_log~ database source_code photo~
        """,
        within=3,
    ),
    _act(
        _GIVEN,
        """
        diary diaries passport~ tax_return~ salary salaries payslip~ door_code~ alarm_code~
        pin_code~ screenshot~ medical_record~ fingerprint~ bank_statement~ birth_certificate~
        """,
    ),
    _act(
        "an order to contact somebody outside",
        _SENDING,
        f"""
        {_OUTSIDERS} external_. outside_. unknown_. anonymous_. foreign_. overseas_.
        another_company another_address another_number following_number following_address
        personal_mailbox personal_address new_address new_number
        """,
        within=9,
    ),
    _act(
        "an order to please outsiders",
        """
        let lets letting tell tells inform* notify* show shows lend* believ* invit* subscrib* loop*
        obey* follow* recommend* prefer*
        """,
        _OUTSIDERS,
        within=3,
    ),
    _act(
        _MONEY,
        """
        transfer* wire~ pay~ paying refund* reimburs* donat* withdraw* charg* bill~ buy* purchas*
        order* lend* spend* invest* approv* grant* waiv* credit* accept*
        """,
        """
        to_the_account to_the_second_account to_another_account to_this_account gift_card~
        voucher~ crypto* bitcoin~ remaining_balance whole_balance all_funds all_loan~ all_claim~
        all_refund~ all_invoice~ any_claim~ any_loan~ any_refund~ any_invoice~ every_order
        every_claim every_refund every_invoice twice_the_. double_the_. however_high however_much
        the_first_offer without_a_receipt without_receipt~ without_limit~
        """,
    ),
    _act(
        _MONEY,
        """
        keep_the_difference keep_the_change company_card saved_card customer's_card premium_number~
        top_up add_a_tip add_an_extra rent wages savings pension~ bribe~ donation~ fifty_euros
        hundred_dollars thousand_dollars hundred_euros thousand_euros
        """,
    ),
    _act(
        _DESTROY,
        """
        delet* eras* wip* destroy* purg* overwrit* shred* reformat* corrupt* drop drops dropping
        """,
        """
        record~ file~ folder~ data* table~ backup~ log~ history histories account~ email~ e_mail~
        message~ inbox disk~ drive~ evidence photo~ contact~ contract~ document~ letter~ branch*
        repositor* everything
        """,
    ),
    _act(
        _DESTROY,
        "cancel* clos* remov* revok* terminat* discard* empt* throw* suspend* block* fir*",
        """
        all_account~ every_account all_order~ every_order all_subscription~ every_subscription
        all_booking~ all_reservation~ all_meeting~ all_appointment~ all_user~ all_customer~
        all_device~ all_message~ all_document~ all_alarm~ everybody everything
        """,
        within=2,
    ),
    _act(
        _DESTROY,
        """
        clear_out_. clear_the_archive clear_the_history factory_settings factory_reset
        pull_the_plug unplug* smash* break_the_seal break_the_lock burn_the_. burn_all set_fire
        cut_the_power
        """,
    ),
    _act(
        _UNCHECKED,
        """
        skip* bypass* disabl* deactivat* ignor* omit* suppress* silenc* mute~ circumvent* evad*
        dismiss* disregard* waiv* weaken* turn_off turns_off switch_off shut_off leave_out
        without no_need_for no_need_to instead_of rather_than
        """,
        f"{_CHECKS} asking_first asking_for_. waiting_for_. ask_first wait_for_.",
        within=3,
    ),
    _act(
        _UNCHECKED,
        "never do_not don't need_not",
        """
        verify validate authenticate authorise authorize confirm double_check
        ask_first ask_for_permission ask_for_approval ask_for_consent wait_for_approval
        wait_for_confirmation wait_for_consent wait_for_permission
        """,
        within=1,
    ),
    _act(
        _UNCHECKED,
        _CHECKS,
        """
        is_unnecessary are_unnecessary is_optional are_optional not_needed is_assumed be_skipped
        be_assumed be_waived be_omitted be_bypassed be_ignored be_disabled is_given is_implied
        is_granted
        """,
        within=2,
    ),
    _act(
        _UNCHECKED,
        "assum* treat* regard* consider* mark* record*",
        """
        as_approved as_verified as_confirmed as_authorised as_authorized as_paid as_safe
        as_trusted as_signed consent approval permission
        """,
    ),
    _act(
        _UNCHECKED,
        """
        proof_enough word_for_it no_questions_asked before_anybody_. before_anyone_.
        before_somebody_. before_someone_. regardless_of_. no_matter_who no_matter_what
        in_the_._place in_the_._stead blindly unread unseen unchecked unverified safe_open_after
        door_open_when into_production to_production
        """,
    ),
    _act(
        _AUTHORITY,
        """
        approved_by authorised_by authorized_by allowed_by permitted_by cleared_by requested_by
        required_by ordered_by instructed_by agreed_with agreed_by sanctioned_by confirmed_by
        demanded_by mandated_by signed_off_by on_behalf_of on_orders_of at_the_request_of
        in_the_name_of
        """,
        _SUPERIORS,
        within=3,
    ),
    _act(
        _AUTHORITY,
        _SUPERIORS,
        """
        says wants requires decided demands expects approves approved agrees agreed allows allowed
        permits permitted may_take may_have may_enter may_see
        """,
        within=2,
    ),
    _act(
        _AUTHORITY,
        """
        outrank* orders_from_the has_permission has_authority full_clearance full_permission
        full_authority full_privileges
        """,
    ),
    _act(
        _ENTRY,
        "grant* give~ giving allow* add~ adding enabl* provid* extend*",
        "access admin* privilege~ permission~ remote_control superuser root",
    ),
    _act(_ENTRY, "unlock* unbolt*", "door~ gate~ house garage car"),
    _act(
        _DANGER,
        """
        poison* explosi* weapon~ bomb~ bleach ammonia overdos* suicid* self_harm malware
        ransomware keylogger~ phishing start_a_fire sealed_can~ sealed_tin~ carbon_monoxide
        electric_shock short_circuit tamper*
        """,
    ),
    _act(
        _DANGER,
        "stop* skip* doubl* tripl* halv* increas* reduc* lower* rais* exceed* replac* adjust*",
        "dose~ dosage~ medication~ medicine~ insulin pill~ treatment~ inhaler~ vaccin*",
    ),
    _act(
        _DANGER,
        "leave~ leaving keep~ keeping",
        "stove_on oven_on gas_on iron_on burner_on heater_on unattended",
    ),
    _act(
        "advice on somebody's health",
        """
        chest_pain~ stomach_ache symptom~ syrup painkiller~ aspirin antibiotic~ blood_pressure
        fever bleeding pregnan* infant~ baby babies ambulance~ emergency_call~
        """,
    ),
    _act(
        _DECEIT,
        """
        lie_to lie_about lying mislead* deceiv* fabricat* falsif* forge forged forging make_up_a
        make_up_the making_up fake faked faking backdat* impersonat* pose_as posing_as invent
        invents inventing hide_the_fee~ hide_the_cost~ hide_the_error~ hide_the_mistake~
        conceal* so_that_they_pass blame blaming cover_up trick~ bluff* exaggerat* quote_a_study
        """,
    ),
    _act(
        _DECEIT,
        "say~ claim~ tell~ promis* writ* report*",
        "even_when even_if whether_or_not to_be_a_human to_be_human to_be_a_doctor",
        within=8,
    ),
    _act(
        _PEOPLE,
        """
        refus* deny denies reject* charg* avoid* favour* favor* prioriti* rank* serv* ignor* flag*
        exclud* offer* callers customers applicants candidates turn_down
        """,
        """
        women men foreign* immigrant~ refugee~ muslim~ jew~ christian~ elderly disabled pregnant
        gay accent~ religio* race ethnic* nationalit* gender~ older_. above_fifty above_sixty
        over_fifty over_sixty
        """,
        within=3,
    ),
)

_FORBIDDEN: Final = re.compile(
    r"(?:\b(?:do not|don't|never|must not|mustn't|should not|shouldn't|cannot|can't|avoid|"
    r"instead of|rather than)\s+(?:\w+ly\s+|ever\s+)?"
    r"|\b(?:ask|confirm|check|verify|permission|consent|approval)\b.{0,60}\bbefore (?:you )?)$"
)
"""Words right before an act that a rule forbids, or allows only after somebody agrees."""


def beyond_the_task(text: str) -> str | None:
    """Return the act beyond the task that a rule orders, as 'an order to …: its words'; or None.

    Args:
        text: a rule in lower case, without accents.
    """
    for act in _ACTS:
        match = act.pattern.search(text)
        while match:
            if not _FORBIDDEN.search(text[: match.start()]):
                return f"{act.what}: {match[0][:60]!r}"
            # A forbidden act's object may belong to an order that follows: search on.
            match = act.pattern.search(text, match.start() + 1)
    return None
