"""The cue words of the stand-in model in Portuguese and English, without accents and in lower case."""

import re

STOP_WORDS = frozenset(
    """
    a ao aos as ainda agora algo alguem alguma ali ante antes aqui assim ate bem bom boa cada com
    como conta contra da das de dela dele deles demais depois desde dessa desse desta deste disso do
    dois dos duas e ela elas ele eles em entao entre era essa esse esta estamos estao estar estava
    este estou eu faz fazer feito fica ficou foi foram gente ha hoje ir isso isto ja la lhe mais mas
    me mesma mesmo meu minha muita muito na nada nao nas nem nenhuma nenhum no nos nossa nosso
    nossos num numa o obrigada obrigado oi ola os ou outra outro para pela pelas pelo pelos pode
    podemos por porque pra precisa precisamos qual quando que quem queremos se seja sem sempre ser
    seria seu sim so sobre sou sua suas tambem tao tem temos tenho ter teve tinha toda todas todo
    todos tres tudo um uma uns vai vamos voce voces vou
    about after again all also am an and any are at be because been before but by can could did do
    does doing don down each even every few first for from get give go going good got had has have
    he her here him his how i if in into is it its just know last let like ll look make may me might
    more most much must my need needs new next no not now of off ok okay on one only or other our
    out over own re really right s said same say see shall she should since so some still such sure
    t take than thank thanks that the their them then there these they thing things think this those
    though three to today too two under until up us ve very want was way we week well were what when
    where which while who why will with would yeah yes yet you your
    bom dia tarde noite mil reais cento dois quatro cinco seis sete oito nove dez mes meses semana
    semanas dias ano anos morning afternoon hello four five six seven eight nine ten hundred
    thousand percent year years weeks month day days segunda terca quarta quinta sexta feira monday
    tuesday wednesday thursday friday amanha tomorrow uh um hmm mhm mm mm-hmm gonna wanna mean kind
    bit guess
    """.split()  # noqa: SIM905 # easier to read as text
)

DECISION = re.compile(
    r"\b(decidimos|ficou decidido|esta decidido|fica decidido|decisao|combinamos|combinado"
    r"|fica combinado|aprovamos"
    r"|aprovado|aprovada|batemos o martelo|fechamos (com|em|assim)|vamos (adotar|seguir com|manter)"
    r"|we (have )?(decided|agreed|approved)|decision|it'?s decided|agreed|approved|settled"
    r"|let'?s go with|we('ll| will) go with|we are going with)\b"
)

PROMISE = re.compile(  # the speaker will do it
    r"\b(eu vou|vou|eu fico (de|com)|fico (de|responsavel)|pode deixar comigo|me comprometo"
    r"|i('ll| will)|i am going to|i'm going to|leave it (to|with) me)\b"
)

REQUEST = re.compile(  # another person should do it
    r"\b(voce (pode|consegue)|pode (enviar|preparar|revisar|mandar|marcar|fazer)|fica responsavel"
    r"|fica com"
    r"|vai (enviar|preparar|revisar|mandar|fechar|montar|cuidar)"
    r"|(can|could) you|please|action item|takes care of|is responsible for"
    r"|will (send|prepare|review|write|book|fix|own))\b"
)

SMALL_TALK = re.compile(  # a promise by its words only
    r"\b(vou (ser|falar|confessar|resumir|comecar (com|pel[oa]))|nao vou|ja vou"
    r"|i('ll| will) (be|start with|admit|confess|go first)"
    r"|(can|could) you (hear|see)|please (go|continue))\b"
)

_DAY = (
    r"(segunda|terca|quarta|quinta|sexta)(-feira)?|sabado|domingo|amanha|hoje"
    r"|(o )?(fim|final) (da semana|do mes)"
    r"|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tomorrow|today|tonight"
    r"|(the )?end of (the |this |next )?(day|week|month|quarter)|next week"
    r"|(o )?dia \d{1,2}( de [a-z]+)?|\d{1,2} de [a-z]+|\d{1,2}/\d{1,2}(/\d{2,4})?"
    r"|(january|february|march|april|may|june|july|august|september|october|november|december) \d{1,2}"
)
DUE = re.compile(
    r"\b(?P<date>\d{4}-\d\d-\d\d)\b"
    rf"|\b(?:ate|by|before|until|antes de|on|for|na|no|do|para) (?:a |o |as )?(?P<day>{_DAY})\b"
    r"|\b(?P<soon>hoje|amanha|today|tonight|tomorrow|next week)\b"
)

RISK = re.compile(
    r"\b(riscos?|preocupa\w*|bloque\w*|atras(o|os|ar|amos|ado|ada|ados)|multas?|cancelar\w*|perder"
    r"|gargalo"
    r"|nao vamos conseguir|falta de|vencid[oa]s?|vulnerab\w*|indisponib\w*"
    r"|risks?|worr(y|ied|ies)|concern(ed|s)?|block(ed|er|ers|ing)|delay(s|ed)?|slip(s|ped)?"
    r"|penalt(y|ies)|churn\w*"
    r"|outages?|breach\w*|overdue|shortage|bottleneck|vulnerab\w*|might not|won'?t make)\b"
)
SEVERE = re.compile(
    r"\b(critic[oa]s?|grave|graves|multas?|cancelar\w*|urgente|perder|vazamento|indisponib\w*"
    r"|critical|severe|urgent|penalt(y|ies)|churn\w*|outages?|breach\w*|lose|legal)\b"
)
SLIGHT = re.compile(r"\b(talvez|pequen[oa]s?|leve|pouco|baixo|maybe|minor|small|slight(ly)?|low|unlikely)\b")

POSITIVE = re.compile(
    r"\b(otim[oa]s?|excelentes?|parabens|feliz(es)?|gost(ei|amos|ou|aram)|ador(ei|amos|ou|aram)"
    r"|sucesso|perfeit[oa]"
    r"|consegui(mos|u|ram)?|melhor(ou|amos|ia|ias)?|animad[oa]s?|satisfeit[oa]s?|elogi\w+"
    r"|tranquil[oa]|cresce(u|mos)"
    r"|super(ou|amos)|maravilh\w+|bacana|confian(te|tes|ca)|avanc(o|os|ou|amos)"
    r"|great|excellent|congratulations|happy|love(d|s)?|success\w*|perfect"
    r"|improv(ed|es|ement|ements)|excited|pleased"
    r"|praised?|grew|growth|beat|wonderful|nice|confident|progress|win|wins|glad"
    r"|fantastic|solid|proud)\b"
)
NEGATIVE = re.compile(
    r"\b(ruim|pessim[oa]s?|problemas?|reclam\w+|insatisfeit[oa]s?|frustrad[oa]s?|irritad[oa]s?"
    r"|preocupad[oa]s?"
    r"|atras(o|os|ou|amos|ado|ada|ados)|falh(a|as|ou|aram)|erros?|piorou|ca(iu|iram)"
    r"|perd(a|as|emos|eu)|cancelar\w*"
    r"|inaceitavel|decepcion\w+|dificil|infelizmente|quebr(a|ou|ado|ada)|crise|cansad[oa]s?"
    r"|absurd[oa]"
    r"|bad|terrible|problems?|complain(t|ts|ed|ing)?|unhappy|frustrat\w+|angry|worried|delay(s|ed)?"
    r"|fail(s|ed|ure|ures)?"
    r"|errors?|worse|dropped|loss(es)?|lost|cancel\w*|unacceptable|disappoint\w+|unfortunately"
    r"|broke(n)?"
    r"|crisis|exhausted|late|outages?|churn\w*|missed|slipped)\b"
)
NEGATION = re.compile(r"\b(nao|nem|nunca|sem|not|no|never|without|\w+n't)\W+(\w+\W+)?$")
